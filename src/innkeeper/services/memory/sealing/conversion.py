"""Sealing what was written before memories had keys: once, at the start, before anything is read or written.

Piece by piece, each in a transaction of its own: a crash leaves the rest to the next start. Servers that
start at once do the same work, and neither undoes the other's.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, select, tuple_, type_coerce, update

from innkeeper.engines.store.database import Database, metadata
from innkeeper.kernel.errors import NotFound
from innkeeper.services.memory.sealing import store
from innkeeper.services.memory.sealing.columns import Likeness, Sealed, place_of
from innkeeper.services.memory.sealing.key import is_sealed
from innkeeper.services.memory.sealing.keyring import key_of, keyring_of

_PIECE = 500

_log = logging.getLogger(__name__)


class Conversion:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Raises Unreadable when the vault is not the one that wrapped the memories' keys."""
        async with self._database.begin() as connection:
            if (known := await store.any_key(connection)) is not None:
                await connection.run_sync(key_of, *known)
            keyring = await connection.run_sync(keyring_of)
            for account, memory in await store.without_key(connection):
                await store.give_key(connection, account, memory, keyring.new(account, memory))
            if not await store.is_any_unwhole(connection):
                return
        tables = [table for table in metadata.sorted_tables if _sealed(table)]
        for table in tables:
            _log.info("sealing what %s holds", table.name)
            last: Sequence[Any] | None = None
            while (last := await self._database.in_thread(_Piece(table, last))) is not None:
                pass
        await self._database.scrub(*tables)
        async with self._database.begin() as connection:
            await store.mark_whole(connection)


class _Piece:
    """Seals the next rows of a table, and tells the last one's key; None when there were no more."""

    def __init__(self, table: Table, after: Sequence[Any] | None) -> None:
        self._table = table
        self._after = after

    def __call__(self, connection: Connection) -> Sequence[Any] | None:
        key = list(self._table.primary_key.columns)
        query = (
            select(
                *(
                    type_coerce(one, LargeBinary) if isinstance(one.type, Sealed) else one
                    for one in self._table.c
                )
            )
            .order_by(*key)
            .limit(_PIECE)
        )
        if self._after is not None:
            query = query.where(tuple_(*key) > tuple_(*self._after))
        rows = [dict(row) for row in connection.execute(query).mappings()]
        for row in rows:
            self._seal(connection, row)
        return [rows[-1][one.name] for one in key] if rows else None

    def _seal(self, connection: Connection, row: dict[str, Any]) -> None:
        clear = {
            name: bytes(row[name])
            for name in _sealed(self._table)
            if row[name] is not None and not is_sealed(row[name])
        }
        if not clear:
            return
        try:
            key = key_of(connection, row["account"], row["memory"])
        except NotFound:  # the memory is being deleted, and this with it
            return
        values = {name: key.seal(text, place_of(self._table, name, row)) for name, text in clear.items()}
        for column in self._table.c:
            if isinstance(column.type, Likeness) and column.type.of in clear:
                values[column.name] = key.likeness(clear[column.type.of].decode())
        # What somebody else has sealed or written meanwhile stays.
        same = [one == row[one.name] for one in self._table.primary_key.columns]
        same += [type_coerce(self._table.c[name], LargeBinary) == text for name, text in clear.items()]
        connection.execute(update(self._table).where(*same).values(values))


def _sealed(table: Table) -> list[str]:
    return [column.name for column in table.c if isinstance(column.type, Sealed)]
