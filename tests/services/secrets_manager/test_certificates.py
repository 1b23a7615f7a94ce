"""Certificates are read from secrets: whole bundles, each once, and nothing that lies beside them."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import InvalidRequest, NotFound
from innkeeper.services.account.service import Accounts
from innkeeper.services.secrets_manager.service import SecretsManager
from tests.services.secrets_manager.conftest import LaterClock
from tests.stories import tls_front


async def test_they_are_good_or_refused(
    accounts: Accounts, service: SecretsManager, clock: LaterClock, tmp_path: Path
) -> None:
    account = (await accounts.bootstrap()).account
    owner = Caller(account, f"arn:aws:iam::{account}:root", "us-west-2")
    made = await asyncio.to_thread(tls_front.Certificates, tmp_path, "localhost")
    root, server = made.authority.read_bytes(), made.server.read_bytes()

    async def stored(name: str, **value: object) -> str:
        parameters = {"Name": name, "ClientRequestToken": f"token of {name}".ljust(32, "."), **value}
        return (await service.create(owner, parameters))[0].arn

    async def read(*arns: str) -> bytes:
        located = [{"location": {"secretsManager": {"secretArn": arn}}} for arn in arns]
        return await service.certificates(owner, located)

    plain, binary = (
        await stored("plain", SecretString=root.decode()),
        await stored("bytes", SecretBinary=root),
    )
    both = await stored("both", SecretString=(server + root).decode())
    assert await read() == b""
    assert await read(plain, binary, plain) == root
    bundle = await read(both)
    assert bundle.count(b"BEGIN CERTIFICATE") == 2
    assert b"PRIVATE" in server and b"PRIVATE" not in bundle
    for nothing in (await stored("empty"), plain[:-1] + "!"):
        with pytest.raises(NotFound, match="was not found"):
            await read(nothing)
    with pytest.raises(InvalidRequest, match="holds no X") as refused:
        await read(await stored("nonsense", SecretString="my own words"))
    assert "my own words" not in refused.value.message
    for shift, rule in ((timedelta(days=-30), "not valid yet"), (timedelta(days=40_000), "has expired")):
        clock.shift = shift
        with pytest.raises(InvalidRequest, match=f"{rule}: CN=Authority"):
            await read(plain)
    clock.shift = timedelta()
    await service.delete(owner, {"SecretId": plain})
    with pytest.raises(InvalidRequest, match="scheduled for deletion"):
        await read(plain)
