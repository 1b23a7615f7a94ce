"""The table of what the index has yet to take in: turns, records and chunks of documents that
were written, changed or deleted.

A change is noted by a trigger, in the transaction that makes it, whoever makes it; and forgotten when the
index has it. A crash in between repeats the work and loses none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Select,
    String,
    Table,
    and_,
    delete,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import metadata
from innkeeper.services.memory.documents.store import chunks
from innkeeper.services.memory.events.store import turns
from innkeeper.services.memory.records.store import records
from innkeeper.services.memory.sealing.rows import Row, fetch, opened, read

_BEFORE = "before"
_RowId = BigInteger().with_variant(Integer, "sqlite")

changes = Table(
    "memory_changes",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("row", BigInteger, nullable=False),
    Index(None, "account", "memory"),
    sqlite_autoincrement=True,
)


class Kind(StrEnum):
    TURN = "turn"
    RECORD = "record"
    CHUNK = "chunk"


_WATCHED = {Kind.TURN: turns, Kind.RECORD: records, Kind.CHUNK: chunks}


@dataclass(frozen=True, slots=True)
class Shelf:
    """The turns, the records or the chunks of a memory, as the index keeps them: apart."""

    account: str
    memory: str
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.account}/{self.memory}/{self.kind}"

    @classmethod
    def named(cls, name: str) -> "Shelf":
        account, memory, kind = name.split("/")
        return cls(account, memory, Kind(kind))


async def watch(connection: AsyncConnection) -> None:
    """Set the triggers up; again at every start, for a migration that rebuilds a table drops its own."""
    for kind, table in _WATCHED.items():
        make = _watch_postgresql if connection.dialect.name == "postgresql" else _watch_sqlite
        for statement in make(kind, table.name):
            await connection.exec_driver_sql(statement)


def _watch_sqlite(kind: Kind, table: str) -> Iterator[str]:
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        name = f"{table}_{event.lower()}"
        yield f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON {table} BEGIN {_note(row, kind)}; END"


def _watch_postgresql(kind: Kind, table: str) -> Iterator[str]:
    yield (
        f"CREATE OR REPLACE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"DECLARE changed {table}%%ROWTYPE; "
        f"BEGIN IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF; "
        f"{_note('changed', kind)}; RETURN NULL; END $$"
    )
    yield (
        f"CREATE OR REPLACE TRIGGER note_{table} AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION note_{table}()"
    )


def _note(row: str, kind: Kind) -> str:
    columns = f"{row}.account, {row}.memory, '{kind}', {row}.id"
    return f"INSERT INTO {changes.name} (account, memory, kind, row) VALUES ({columns})"  # noqa: S608


async def next_changes(connection: AsyncConnection, limit: int) -> tuple[list[int], dict[Shelf, list[int]]]:
    """The oldest changes: their numbers, and the rows that they are about. Those of documents wait for the
    others: a book makes thousands."""
    late = changes.c.kind == Kind.CHUNK
    return await _shelved(connection, select(changes).order_by(late, changes.c.id).limit(limit))


async def changes_of_gone(
    connection: AsyncConnection, account: str, memory: str, limit: int
) -> tuple[list[int], dict[Shelf, list[int]]]:
    """The same of one memory, of rows that are there no more."""
    gone = (
        and_(changes.c.kind == kind, ~select(table.c.id).where(table.c.id == changes.c.row).exists())
        for kind, table in _WATCHED.items()
    )
    query = select(changes).where(changes.c.account == account, changes.c.memory == memory, or_(*gone))
    return await _shelved(connection, query.order_by(changes.c.id).limit(limit))


async def _shelved(
    connection: AsyncConnection, query: Select[Any]
) -> tuple[list[int], dict[Shelf, list[int]]]:
    numbers, rows = [], dict[Shelf, list[int]]()
    for change in await connection.execute(query):
        numbers.append(change.id)
        rows.setdefault(Shelf(change.account, change.memory, Kind(change.kind)), []).append(change.row)
    return numbers, rows


async def forget_changes(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    await connection.execute(delete(changes).where(changes.c.id.in_(numbers)))


async def said(connection: AsyncConnection, shelf: Shelf, rows: Sequence[int]) -> Sequence[Row]:
    """Turns, each with the text of the one `before`; without those that were altered in the database."""
    earlier = turns.alias()
    query = (
        select(turns, earlier.c.text.label(_BEFORE))
        .outerjoin(
            earlier,
            (earlier.c.account == turns.c.account)
            & (earlier.c.memory == turns.c.memory)
            & (earlier.c.actor == turns.c.actor)
            & (earlier.c.session == turns.c.session)
            & (earlier.c.position == turns.c.position - 1),
        )
        .where(turns.c.id.in_(rows), turns.c.account == shelf.account, turns.c.memory == shelf.memory)
    )
    return await connection.run_sync(_said, query)


def _said(connection: Connection, query: Select[Any]) -> list[Row]:
    found = fetch(connection, turns, query, strict=False)
    for row in found:
        # It stands sealed in its own place, which is the one before.
        earlier = row | {"position": row["position"] - 1, "text": row[_BEFORE]}
        row[_BEFORE] = opened(connection, turns, earlier, strict=False)["text"]
    return [row for row in found if row["text"] is not None]


async def remembered(connection: AsyncConnection, shelf: Shelf, rows: Sequence[int]) -> Sequence[Row]:
    """Records, but for those that were altered."""
    query = select(records).where(
        records.c.id.in_(rows), records.c.account == shelf.account, records.c.memory == shelf.memory
    )
    return [row for row in await read(connection, records, query, strict=False) if row["text"] is not None]


async def written(connection: AsyncConnection, shelf: Shelf, rows: Sequence[int]) -> Sequence[Row]:
    """Chunks that have a text: others wait for review, or were altered."""
    query = select(chunks).where(
        chunks.c.id.in_(rows),
        chunks.c.account == shelf.account,
        chunks.c.memory == shelf.memory,
    )
    return [row for row in await read(connection, chunks, query, strict=False) if row["text"]]
