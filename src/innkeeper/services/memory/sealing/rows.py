"""Rows with sealed columns: opened when they are read, sealed before they are written."""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.kernel.errors import InnkeeperError
from innkeeper.services.memory.sealing.columns import Likeness, Sealed, place_of
from innkeeper.services.memory.sealing.keyring import Unreadable, key_of

Row = dict[str, Any]

_log = logging.getLogger(__name__)


def fetch(
    connection: Connection,
    table: Table,
    query: Executable,
    parameters: Mapping[str, Any] | None = None,
    *,
    strict: bool = True,
) -> list[Row]:
    """The rows of a query on a table, opened; they have account, memory and the columns that the table is
    bound by. Raises Unreadable when one does not open; unless `strict`, it has None there."""
    rows = connection.execute(query, parameters).mappings().all()
    return [opened(connection, table, dict(row), strict=strict) for row in rows]


async def read(
    connection: AsyncConnection, table: Table, query: Executable, *, strict: bool = True
) -> list[Row]:
    """The same."""
    return await connection.run_sync(fetch, table, query, strict=strict)


def opened(connection: Connection, table: Table, row: Row, *, strict: bool = True) -> Row:
    """Raises Unreadable."""
    whole = dict(row)
    for name, kind in _sealed(table):
        if whole.get(name) is not None:
            try:
                key = key_of(connection, row["account"], row["memory"])
                whole[name] = kind.decoded(key.open(whole[name], place_of(table, name, row)))
            except (ValueError, InnkeeperError) as error:
                _log.error("a %s of %s in memory %s does not open", name, table.name, row["memory"])
                if strict:
                    raise _unreadable(error, row["memory"]) from error
                whole[name] = None
    return whole


def sealed(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows to be inserted, or as much of them as is to be updated, and at least the columns that the table is
    bound by. With the likeness of what is in them."""
    return [_sealed_row(connection, table, row) for row in rows]


async def seal(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The same."""
    return await connection.run_sync(sealed, table, rows)


async def seal_values(
    connection: AsyncConnection, table: Table, place: Mapping[str, Any], values: Mapping[str, Any]
) -> Row:
    """The values that an update sets in the row that `place` is of."""
    [row] = await seal(connection, table, [{**place, **values}])
    return {name: value for name, value in row.items() if name in values or name not in place}


async def likeness(connection: AsyncConnection, account: str, memory: str, text: str) -> bytes:
    key = await connection.run_sync(key_of, account, memory)
    return key.likeness(text)


def _sealed_row(connection: Connection, table: Table, row: Mapping[str, Any]) -> Row:
    whole = dict(row)
    key = key_of(connection, row["account"], row["memory"])
    for name, kind in _sealed(table):
        if row.get(name) is not None:
            whole[name] = key.seal(kind.encoded(row[name]), place_of(table, name, row))
    for name, of in _likenesses(table):
        if row.get(of) is not None:
            whole[name] = key.likeness(row[of])
    return whole


@cache
def _sealed(table: Table) -> list[tuple[str, Sealed]]:
    return [(column.name, column.type) for column in table.c if isinstance(column.type, Sealed)]


@cache
def _likenesses(table: Table) -> list[tuple[str, str]]:
    """Columns, and those whose text they are of."""
    return [(column.name, column.type.of) for column in table.c if isinstance(column.type, Likeness)]


def _unreadable(error: Exception, memory: str) -> InnkeeperError:
    if isinstance(error, InnkeeperError):
        return error
    return Unreadable(
        f"Something in memory {memory} does not open with the memory's key: it was altered in the database, "
        "moved there from elsewhere, or restored from a backup of another memory"
    )
