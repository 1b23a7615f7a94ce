"""The keyring: the memories' keys, unwrapped. A connection of the database carries it, so that what it reads
is opened, and what it writes is sealed, in the same transaction."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.vault import Vault
from innkeeper.kernel.errors import InnkeeperError, NotFound
from innkeeper.services.memory.sealing import store
from innkeeper.services.memory.sealing.key import KEY_BYTES, MemoryKey
from innkeeper.services.memory.sealing.store import WrappedKeys

_KEPT = 4096  # keys, unwrapped: some 3 MB
_OPTION = "keyring"


class Unreadable(InnkeeperError):
    """What is stored does not open. The message names no text."""


class Keyring:
    """Used by threads as well. A key never changes; one of a memory that is gone is asked for by nobody."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._keys: OrderedDict[tuple[str, str], MemoryKey] = OrderedDict()
        self._lock = Lock()

    def new(self, account: str, memory: str) -> WrappedKeys:
        """Those for a memory, wrapped."""
        place = {"account": account, "memory": memory}
        wrapped, history = (
            self._vault.seal(secrets.token_bytes(KEY_BYTES), kind.context(place))
            for kind in (store.WRAPPED, store.HISTORY)
        )
        return WrappedKeys(wrapped, history)

    def derived_history(self, account: str, memory: str) -> bytes:
        """The history's key of a memory that was made before it was kept, wrapped. It is of the oldest master
        key that there is: a memory of a newer one has its own."""
        derived = self._vault.derive(f"memory-history/{account}/{memory}")[-1]
        return self._vault.seal(derived, store.HISTORY.context({"account": account, "memory": memory}))

    def key(self, connection: Connection, account: str, memory: str) -> MemoryKey:
        """Raises NotFound when the memory is gone; Unreadable when the vault can't unwrap its key."""
        place = account, memory
        with self._lock:
            if (known := self._keys.get(place)) is not None:
                self._keys.move_to_end(place)
                return known
        wrapped = store.find_keys(connection, account, memory)
        if wrapped is None:
            raise NotFound(f"Memory {memory} does not exist")
        try:
            key = self._unwrapped({"account": account, "memory": memory}, wrapped)
        except ValueError as error:
            raise Unreadable(
                f"The key of memory {memory} can't be unwrapped: the vault's master key is not the one that "
                "wrapped it. Restore the file master.key that belongs to this database into the data folder"
            ) from error
        with self._lock:
            self._keys[place] = key
            while len(self._keys) > _KEPT:
                self._keys.popitem(last=False)
        return key

    def _unwrapped(self, place: Mapping[str, str], wrapped: WrappedKeys) -> MemoryKey:
        """Raises ValueError."""
        key = self._vault.open(wrapped.wrapped, store.WRAPPED.context(place))
        if wrapped.history is None:
            return MemoryKey(key)
        return MemoryKey(key, self._vault.open(wrapped.history, store.HISTORY.context(place)))

    def forget(self, account: str, memory: str) -> None:
        with self._lock:
            self._keys.pop((account, memory), None)


def with_keys(database: Database, vault: Vault) -> Database:
    """The database, whose connections carry a keyring."""
    return database.carrying(**{_OPTION: Keyring(vault)})


def key_of(connection: Connection, account: str, memory: str) -> MemoryKey:
    """By the keyring that the connection carries. Raises NotFound, Unreadable."""
    return keyring_of(connection).key(connection, account, memory)


def keyring_of(connection: Connection) -> Keyring:
    keyring: Keyring = connection.get_execution_options()[_OPTION]
    return keyring


async def make_key(connection: AsyncConnection, account: str, memory: str) -> None:
    """Of a new memory, and the one of its history."""
    made = (await connection.run_sync(keyring_of)).new(account, memory)
    await store.insert_keys(connection, account, memory, made)


async def destroy_key(connection: AsyncConnection, account: str, memory: str) -> None:
    """Nothing that was sealed under it opens from now on."""
    await store.delete_key(connection, account, memory)
    (await connection.run_sync(keyring_of)).forget(account, memory)


async def keep_history_keys(database: Database) -> None:
    """Of all memories: from then on no master key is needed for what it was derived of."""
    async with database.begin() as connection:
        keyring = await connection.run_sync(keyring_of)
        for place in await store.without_history_key(connection):
            await store.give_history_key(connection, *place, keyring.derived_history(*place))
            keyring.forget(*place)
