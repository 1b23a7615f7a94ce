"""The contract of snapshots of sandboxes with a network: each that goes on has one of its own, at once."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_internet import (
    OTHER,
    PORT,
    PRIVATE,
    PUBLIC,
    Internet,
    OnTheInternet,
    looked_up,
    tried,
)
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Egress,
    Network,
    Process,
    Sandbox,
    SandboxDriver,
    SandboxSpec,
)

# A server, and a client who tells what becomes of its connection when it is used.
_CLIENT_AND_SERVER = """
import socket, sys, threading
server = socket.create_server(("0.0.0.0", 8080))
def serve():
    while True:
        server.accept()[0].send(b"inside")
threading.Thread(target=serve, daemon=True).start()
client = socket.create_connection((sys.argv[1], 8000), 30)
def say():
    try:
        client.sendall(b"hi")
        return client.recv(2).decode() or "closed"
    except OSError as error:
        return type(error).__name__
print(say(), flush=True)
sys.stdin.readline()
print(say(), flush=True)
"""
_REFUSED = "ConnectionRefusedError"


class ReconnectionContract(OnTheInternet):
    async def test_with_a_list_each_goes_on_under_its_own(
        self, internet: Internet, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        internet.names["other.test"] = [OTHER]
        folder, first, second = tmp_path / "moment", Egress(["api.example.test"]), Egress(["other.test"])
        async with _snapshotted(driver, Network.LISTED, folder, first) as (sandbox, inside):
            async with (
                _going_on(driver, Network.LISTED, folder, second) as one,
                _going_on(driver, Network.LISTED, folder) as two,
            ):
                assert await tried(one, ("other.test", PORT), (PUBLIC, PORT)) == ["hi", _REFUSED]
                assert await looked_up(one, "other.test", "api.example.test") == [[OTHER], []]
                assert await tried(two, (OTHER, PORT), (PUBLIC, PORT)) == [_REFUSED, _REFUSED]
                await two.set_egress(first)
                assert await tried(two, ("api.example.test", PORT), (OTHER, PORT)) == ["hi", _REFUSED]
                for each in (one, two):
                    await _is_served(each)
                    await _has_lost_its_connection(each.process(inside.id))
            assert await tried(sandbox, ("api.example.test", PORT), (OTHER, PORT)) == ["hi", _REFUSED]
            await _is_served(sandbox)

    async def test_with_the_internet_each_goes_on_for_itself(
        self, internet: Internet, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        """Also from the snapshot of one that was restored, and after that one's end."""
        folder, later = tmp_path / "moment", tmp_path / "later"
        async with _snapshotted(driver, Network.PUBLIC, folder) as (_, inside):
            pass
        async with _going_on(driver, Network.PUBLIC, folder) as child:
            assert await tried(child, (PUBLIC, PORT), (PRIVATE, PORT)) == ["hi", _REFUSED]
            await _has_lost_its_connection(child.process(inside.id))
            await child.snapshot(later)
        async with _going_on(driver, Network.PUBLIC, later) as grandchild:
            assert await tried(grandchild, (PUBLIC, PORT), (PRIVATE, PORT)) == ["hi", _REFUSED]


@asynccontextmanager
async def _snapshotted(
    driver: SandboxDriver, network: Network, folder: Path, egress: Egress | None = None
) -> AsyncIterator[tuple[Sandbox, Process]]:
    """A sandbox, and its process that serves and has a connection, snapshotted. The test is skipped where the
    driver cannot."""
    found = await driver.probe()
    if not found.can_snapshot or network not in found.networks:
        pytest.skip(f"the {driver.name} driver takes no such snapshots here")
    spec = SandboxSpec(f"test-{secrets.token_hex(6)}", network=network, egress=egress or Egress())
    sandbox = await driver.create(spec)
    try:
        host = PUBLIC if network is Network.PUBLIC else "api.example.test"
        process = await sandbox.exec(Command(["python3", "-c", _CLIENT_AND_SERVER, host]))
        assert await heard(process.stdout, b"\n") == b"hi\n"
        await sandbox.snapshot(folder)
        yield sandbox, process
    finally:
        await sandbox.kill()


@asynccontextmanager
async def _going_on(
    driver: SandboxDriver, network: Network, folder: Path, egress: Egress | None = None
) -> AsyncIterator[Sandbox]:
    spec = SandboxSpec(f"test-{secrets.token_hex(6)}", network=network, egress=egress or Egress())
    sandbox = await driver.restore(folder, spec)
    try:
        yield sandbox
    finally:
        await sandbox.kill()


async def _is_served(sandbox: Sandbox) -> None:
    reader, writer = await asyncio.open_connection(sock=await sandbox.dial(8080))
    assert await heard(reader, b"inside") == b"inside"
    writer.close()


async def _has_lost_its_connection(client: Process) -> None:
    """It is told at once, and not left waiting for an answer."""
    client.stdin.write(b"\n")
    async with asyncio.timeout(PATIENCE_SECONDS):
        *_, said = (await client.stdout.read()).split()
    assert said in (b"ConnectionAbortedError", b"ConnectionResetError")
