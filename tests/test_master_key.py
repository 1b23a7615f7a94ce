"""The master key of a data folder is changed, and nothing is lost."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.engines.vault.local import LocalVault
from innkeeper.engines.vault.rewrapping import sealed_columns
from innkeeper.kernel.clock import SystemClock
from innkeeper.master_key import MasterKey, Refused
from innkeeper.server import AlreadyRunning, locked
from innkeeper.services.account.service import Accounts
from innkeeper.services.account.store import SEALED, access_keys
from innkeeper.services.memory.sealing.keyring import key_of, with_keys
from innkeeper.services.memory.sealing.store import keys as memory_keys
from innkeeper.settings import Settings
from tests.running import RunningServer, clean_environment
from tests.services.memory.learning.classroom import Classroom
from tests.services.memory.remembering import Remembering

_PATIENCE_SECONDS = 60
_MANY = 1200  # more than two pieces


class CutOffError(Exception):
    """The end, in the middle."""


class House:
    """What a server leaves: secrets of each kind in a database, a key and its user's credentials."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.settings = Settings(data_dir=folder, database_url=database.url)
        self.key = folder / "master.key"
        self.looked_at: list[int] = []
        self.root = "", ""

    async def furnish(self) -> None:
        vault, clock = LocalVault(self.key), SystemClock()
        root = await Accounts(self.database, vault, clock).bootstrap()
        self.root = root.access_key_id, root.secret_access_key
        rows = [{"account": root.account, "access_key_id": f"AKIA{number:016}"} for number in range(_MANY)]
        made = {"description": "", "active": True, "created_at": clock.now()}
        async with self.database.begin() as connection:
            await connection.execute(
                insert(access_keys),
                [{**row, **made, "sealed_secret": vault.seal(b"s", SEALED.context(row))} for row in rows],
            )

    def change(self) -> MasterKey:
        return MasterKey(self.settings, self.root, self.looked_at.append)

    def change_that_is_cut_off(self) -> MasterKey:
        def told(_secrets: int) -> None:
            raise CutOffError

        return MasterKey(self.settings, self.root, told)

    async def under(self, key: Path) -> int:
        """How many secrets open with this key."""
        vault, opened = LocalVault(key), 0
        async with self.database.begin() as connection:
            for table, column in sealed_columns():
                assert isinstance(column.type, VaultSealed)
                rows = (await connection.execute(select(table).where(column.is_not(None)))).mappings()
                for row in rows:
                    with suppress(ValueError):
                        opened += bool(vault.open(row[column.name], column.type.context({**row})))
        return opened


async def test_a_rotation_that_was_cut_off_loses_nothing_and_goes_on(
    database: Database, tmp_path: Path
) -> None:
    house, room = House(database, tmp_path), Classroom(database, tmp_path)
    await house.furnish()
    memory = await room.memory()
    async with database.begin() as connection:  # as it was before histories had keys of their own
        await connection.execute(update(memory_keys).values(history=None))
    (old := tmp_path / "old.key").write_bytes(house.key.read_bytes())
    old.chmod(0o600)
    chain = LocalVault(old).derive(f"memory-history/{memory.account}/{memory.id}")[0]
    everything = _MANY + 3  # the root key, and the two of the memory
    with pytest.raises(CutOffError):
        await house.change_that_is_cut_off().rotate()
    assert 0 < await house.under(old) < everything == await house.under(house.key)
    with locked(tmp_path), pytest.raises(AlreadyRunning):
        await house.change().retire()
    done = await house.change().rotate()
    assert (done.secrets, done.unreadable) == (everything, {})
    assert house.looked_at[-1] == everything
    assert await house.under(old) == 0
    await house.change().retire()
    assert house.key.stat().st_size == 32
    assert await house.under(house.key) == everything
    async with with_keys(database, LocalVault(house.key)).begin() as connection:
        assert (await connection.run_sync(key_of, memory.account, memory.id)).history == chain
    with pytest.raises(Refused, match="no old master key"):
        await house.change().retire()


async def test_a_key_is_not_changed_for_a_database_that_is_not_its_own(
    database: Database, tmp_path: Path
) -> None:
    house = House(database, tmp_path)
    with pytest.raises(Refused, match="no server has run"):
        house.change()
    await house.furnish()
    house.root = house.root[0], "another"
    with pytest.raises(Refused, match="does not know the root key"):
        await house.change().rotate()
    async with database.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
        assert (await connection.execute(select(func.count()).select_from(access_keys))).scalar() == _MANY + 1
    with pytest.raises(Refused, match="another version"):
        await house.change().rotate()
    assert house.key.stat().st_size == 32


def kill_a_rotation(folder: Path) -> None:
    """kill -9, somewhere behind the new key."""
    command = [sys.executable, "-m", "innkeeper", "master-key", "rotate", "--data-dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environment())
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (folder / "master.key").stat().st_size == 32 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(_PATIENCE_SECONDS)


@pytest.mark.slow
async def test_a_server_goes_on_while_its_master_key_is_changed(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "inn").start()
    try:
        root = Remembering(server)
        old = root.create()
        root.say(old, "from before")
        kill_a_rotation(server.data_dir)
        tenant = Remembering(server, server.new_tenant())
        new = tenant.create()
        tenant.say(new, "from between")
        key = MasterKey(Settings(data_dir=server.data_dir, database_url=""), server.keys, lambda _: None)
        assert (await key.rotate()).unreadable == {}
        with pytest.raises(AlreadyRunning):
            await key.retire()
        assert Remembering(server).heard(old) == ["from before"]
        assert tenant.heard(new) == ["from between"]
        assert server.native("GET", f"/-/v1/memories/{old}/changes/check")["faults"] == []
    finally:
        server.stop()
