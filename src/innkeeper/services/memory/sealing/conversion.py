"""Sealing what was written before memories had keys: once, at the start, before anything is read or written.

Piece by piece, each in a transaction of its own: a crash leaves the rest to the next start. Servers that
start at once do the same work, and neither undoes the other's.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from sqlalchemy import (
    Connection,
    LargeBinary,
    Table,
    Update,
    bindparam,
    func,
    select,
    tuple_,
    type_coerce,
    update,
)

from innkeeper.engines.store.database import Database, metadata
from innkeeper.kernel.errors import NotFound
from innkeeper.services.memory.sealing import store
from innkeeper.services.memory.sealing.columns import Likeness, Sealed, place_of
from innkeeper.services.memory.sealing.key import is_sealed
from innkeeper.services.memory.sealing.keyring import keep_history_keys, key_of, keyring_of

_PIECE = 500
_TELL_SECONDS = 5.0
_WAS, _NEW = "was_", "new_"
_Row = dict[str, Any]

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
                await store.give_key(connection, account, memory, keyring.new(account, memory).wrapped)
        await keep_history_keys(self._database)
        async with self._database.begin() as connection:
            if not await store.is_any_unwhole(connection):
                return
        tables = [table for table in metadata.sorted_tables if _sealed(table)]
        for table in tables:
            await self._seal(table)
        _log.info("clearing the database's files of what is sealed now")
        await self._database.scrub(*tables)
        async with self._database.begin() as connection:
            await store.mark_whole(connection)

    async def _seal(self, table: Table) -> None:
        async with self._database.begin() as connection:
            count = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
        looked_at, told_at = 0, monotonic()
        last: Sequence[Any] | None = None
        while (last := await self._database.in_thread(_Piece(table, last))) is not None:
            looked_at += _PIECE
            if monotonic() - told_at > _TELL_SECONDS:
                told_at = monotonic()
                _log.info("sealing what memories hold: %s of %s rows of %s", looked_at, count, table.name)


class _Piece:
    """Seals the next rows of a table, and tells the last one's key; None when there were no more."""

    def __init__(self, table: Table, after: Sequence[Any] | None) -> None:
        self._table = table
        self._after = after

    def __call__(self, connection: Connection) -> Sequence[Any] | None:
        rows = self._rows(connection)
        changes: dict[tuple[str, ...], list[_Row]] = defaultdict(list)
        for row in rows:
            clear = tuple(
                name for name in _sealed(self._table) if row[name] is not None and not is_sealed(row[name])
            )
            if clear:
                with suppress(NotFound):  # the memory is being deleted, and this with it
                    changes[clear].append(self._change(connection, row, clear))
        for clear, changed in changes.items():
            connection.execute(self._update(clear), changed)
        return [rows[-1][one.name] for one in self._table.primary_key] if rows else None

    def _rows(self, connection: Connection) -> list[_Row]:
        key = list(self._table.primary_key)
        query = select(
            *(type_coerce(one, LargeBinary) if isinstance(one.type, Sealed) else one for one in self._table.c)
        )
        if self._after is not None:
            query = query.where(tuple_(*key) > tuple_(*self._after))
        return [dict(row) for row in connection.execute(query.order_by(*key).limit(_PIECE)).mappings()]

    def _change(self, connection: Connection, row: _Row, clear: Sequence[str]) -> _Row:
        """The parameters of the update: which row, as it was, and what is new in it."""
        key = key_of(connection, row["account"], row["memory"])
        change = {_WAS + one.name: row[one.name] for one in self._table.primary_key}
        for name in clear:
            change[_WAS + name] = text = bytes(row[name])
            change[_NEW + name] = key.seal(text, place_of(self._table, name, row))
        for name, of in self._likenesses(clear):
            change[_NEW + name] = key.likeness(bytes(row[of]).decode())
        return change

    def _update(self, clear: Sequence[str]) -> Update:
        """What somebody else has sealed or written meanwhile stays."""
        same = [one == bindparam(_WAS + one.name, type_=one.type) for one in self._table.primary_key]
        same += [type_coerce(self._table.c[name], LargeBinary) == bindparam(_WAS + name) for name in clear]
        names = *clear, *(name for name, _ in self._likenesses(clear))
        return update(self._table).where(*same).values({name: bindparam(_NEW + name) for name in names})

    def _likenesses(self, clear: Sequence[str]) -> list[tuple[str, str]]:
        """The columns of those among these, each with what it is the likeness of."""
        kinds = ((one.name, one.type) for one in self._table.c)
        return [(name, kind.of) for name, kind in kinds if isinstance(kind, Likeness) and kind.of in clear]


def _sealed(table: Table) -> list[str]:
    return [column.name for column in table.c if isinstance(column.type, Sealed)]
