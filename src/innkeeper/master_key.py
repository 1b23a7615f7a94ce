"""Changing the master key of a data folder, for the command line.

A rotation puts a new key before the old one, and then wraps all secrets anew: a crash at any moment leaves
each under one of the two, and the next rotation goes on. A server that runs meanwhile notices.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.rewrapping import Rewrapped, Rewrapping
from innkeeper.kernel.clock import SystemClock
from innkeeper.server import locked
from innkeeper.services.account.service import Accounts
from innkeeper.services.memory.sealing.keyring import keep_history_keys, with_keys
from innkeeper.settings import Settings
from innkeeper.wiring.engines import master_key_path, open_vault


class Refused(RuntimeError):
    """Nothing was changed; the message says why."""


class MasterKey:
    def __init__(self, settings: Settings, root_key: tuple[str, str], told: Callable[[int], None]) -> None:
        """`root_key` is the id and secret that the server has written for its user: by it the database is
        known for that server's. `told` hears after each piece how many secrets were looked at. Raises Refused
        when there is no key."""
        self._settings = settings
        self._root_key = root_key
        self._told = told
        self.path = master_key_path(settings)
        if not self.path.exists():
            raise Refused(f"there is no {self.path}: no server has run on this data folder")
        self._vault = open_vault(settings)

    async def rotate(self) -> Rewrapped:
        """Also goes on with one that was cut off. Raises Refused."""
        with self._alone():
            async with self._database() as database:
                self._vault.file.rotate()
                return await self._rewrap(database)

    async def retire(self) -> Rewrapped:
        """Forget the old key; what is still under it goes under the new one first. Raises Refused;
        innkeeper.server.AlreadyRunning, as a server may be about to write what it sealed before."""
        with locked(self._settings.data_dir), self._alone():
            if not self._vault.file.has_old():
                raise Refused("there is no old master key to retire")
            async with self._database() as database:
                done = await self._rewrap(database)
            self._vault.file.retire()
            return done

    async def _rewrap(self, database: Database) -> Rewrapped:
        return await Rewrapping(database, self._vault, self._told).run()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with self._vault.file.alone():
                yield
        except BlockingIOError:
            raise Refused("the master key is being changed by another command") from None

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        """The one that belongs to this folder, when nothing in it depends on what a master key derives."""
        database = Database(self._settings.database)
        try:
            if not await database.is_current():
                raise Refused(
                    "the database is of another version, or of no server: start one with it, innkeeper up"
                )
            if not await self._is_ours(database):
                raise Refused(
                    "the database does not know the root key of this data folder: run this with the "
                    "settings, and in the folder, that the server is started with"
                )
            await keep_history_keys(with_keys(database, self._vault))
            yield database
        finally:
            await database.close()

    async def _is_ours(self, database: Database) -> bool:
        access_key_id, secret = self._root_key
        try:
            found = await Accounts(database, self._vault, SystemClock()).credential(access_key_id)
        except ValueError:  # it is sealed under another master key
            return False
        return found is not None and found.secret_access_key == secret
