"""Who may sign requests: the root key of the first start, more keys, and more accounts."""

import asyncio

import pytest

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.errors import NotFound
from innkeeper.services.account import store
from innkeeper.services.account.service import Accounts
from tests.clock import SettableClock


async def test_the_first_start_makes_a_root_key_that_can_sign(accounts: Accounts) -> None:
    key = await accounts.bootstrap()
    assert len(key.account) == 12
    assert key.access_key_id.startswith("AKIA")
    credential = await accounts.credential(key.access_key_id)
    assert credential is not None
    assert credential.secret_access_key == key.secret_access_key
    assert credential.session_token == ""
    assert credential.caller == Caller(
        key.account, f"arn:aws:iam::{key.account}:root", "", CallerKind.ROOT, key.access_key_id
    )


async def test_later_starts_change_nothing(
    accounts: Accounts, database: Database, vault: LocalVault, clock: SettableClock
) -> None:
    key = await accounts.bootstrap()
    assert await Accounts(database, vault, clock).bootstrap() == key
    assert len(await accounts.list_keys(key.account)) == 1


async def test_two_servers_that_start_at_once_agree(
    database: Database, vault: LocalVault, clock: SettableClock
) -> None:
    servers = [Accounts(database, vault, clock) for _ in range(4)]
    keys = await asyncio.gather(*(server.bootstrap() for server in servers))
    assert len({key.access_key_id for key in keys}) == 1


async def test_an_operator_who_lost_every_key_gets_one_at_the_next_start(accounts: Accounts) -> None:
    lost = await accounts.bootstrap()
    await accounts.delete_key(lost.account, lost.access_key_id)
    found = await accounts.bootstrap()
    assert found.account == lost.account
    assert await accounts.credential(found.access_key_id) is not None


async def test_a_secret_is_sealed_in_the_database_and_in_no_repr(
    accounts: Accounts, database: Database
) -> None:
    key = await accounts.bootstrap()
    assert key.secret_access_key not in repr(key)
    async with database.begin() as connection:
        found = await store.find_key(connection, key.access_key_id)
    assert found is not None
    assert key.secret_access_key.encode() not in found[1]


async def test_keys_are_listed_without_their_secrets(accounts: Accounts) -> None:
    root = await accounts.bootstrap()
    made = await accounts.create_key(root.account, "laptop")
    listed = {key.access_key_id: key for key in await accounts.list_keys(root.account)}
    assert set(listed) == {root.access_key_id, made.access_key_id}
    assert listed[made.access_key_id].description == "laptop"
    assert not any(key.secret_access_key for key in listed.values())


async def test_a_disabled_key_stops_at_once_and_can_come_back(accounts: Accounts) -> None:
    key = await accounts.bootstrap()
    assert await accounts.credential(key.access_key_id) is not None
    await accounts.set_key_active(key.account, key.access_key_id, active=False)
    assert await accounts.credential(key.access_key_id) is None
    await accounts.set_key_active(key.account, key.access_key_id, active=True)
    assert await accounts.credential(key.access_key_id) is not None


async def test_another_server_notices_within_a_second(
    accounts: Accounts, database: Database, vault: LocalVault, clock: SettableClock
) -> None:
    other = Accounts(database, vault, clock)
    key = await accounts.bootstrap()
    assert await other.credential(key.access_key_id) is not None
    await accounts.delete_key(key.account, key.access_key_id)
    clock.pass_time(1)
    assert await other.credential(key.access_key_id) is None


async def test_an_unknown_key_is_nobody(accounts: Accounts) -> None:
    for access_key_id in ("AKIAAAAAAAAAAAAAAAAA", "ASIAAAAAAAAAAAAAAAAA", "", "'; --"):
        assert await accounts.credential(access_key_id) is None


async def test_accounts_cannot_touch_each_others_keys(accounts: Accounts) -> None:
    first = await accounts.bootstrap()
    second = await accounts.create_account("second")
    assert second.account != first.account
    role = await accounts.role(f"arn:aws:iam::{second.account}:role/InnkeeperAgentRole", second.account)
    assert role.account == second.account
    with pytest.raises(NotFound):
        await accounts.delete_key(second.account, first.access_key_id)
    with pytest.raises(NotFound):
        await accounts.set_key_active(second.account, first.access_key_id, active=False)
    with pytest.raises(NotFound):
        await accounts.create_key("000000000000", "no such account")
    assert await accounts.credential(first.access_key_id) is not None
