"""The table of what has vectors: for each kind of passage the model, and the rows that still need vectors.

Rows that come later get theirs as they are taken into the index; only a change of the model, or a time
without one, leaves some behind: those above `done`, up to `until`.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, String, Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import metadata
from innkeeper.services.memory.documents.store import chunks
from innkeeper.services.memory.events.store import turns
from innkeeper.services.memory.recall.index_store import Kind, Shelf
from innkeeper.services.memory.records.store import records
from innkeeper.services.memory.store import memories

vectors = Table(
    "memory_vectors",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("model", String(256), nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)

_TABLES = {Kind.TURN: turns, Kind.RECORD: records, Kind.CHUNK: chunks}


@dataclass(frozen=True, slots=True)
class Lack:
    """Rows of a kind that need vectors: above `done`, up to `until`."""

    model: str
    done: int
    until: int


async def find_lack(connection: AsyncConnection, kind: Kind) -> Lack | None:
    row = (await connection.execute(select(vectors).where(vectors.c.kind == kind))).first()
    return None if row is None else Lack(row.model, row.done, row.until)


async def begin_anew(connection: AsyncConnection, kind: Kind, model: str) -> None:
    """All rows that there are need vectors of this model."""
    last = (await connection.execute(select(func.max(_TABLES[kind].c.id)))).scalar() or 0
    values = {"model": model, "done": 0, "until": last}
    changed = await connection.execute(update(vectors).where(vectors.c.kind == kind).values(values))
    if not changed.rowcount:
        await connection.execute(insert(vectors).values(kind=kind, **values))


async def lack_row(connection: AsyncConnection, kind: Kind, first: int, last: int) -> None:
    """Those from the first to the last as well."""
    lack = await find_lack(connection, kind)
    if lack is None:
        return
    done = min(lack.done, first - 1) if lack.done < lack.until else first - 1
    values = {"done": done, "until": max(lack.until, last)}
    await connection.execute(update(vectors).where(vectors.c.kind == kind).values(values))


async def have_until(connection: AsyncConnection, kind: Kind, row: int) -> None:
    await connection.execute(update(vectors).where(vectors.c.kind == kind).values(done=row))


async def rows_lacking(
    connection: AsyncConnection, kind: Kind, lack: Lack, limit: int
) -> dict[Shelf, list[int]]:
    """The first of them, by their shelves."""
    table = _TABLES[kind]
    wanted = table.c.id > lack.done, table.c.id <= lack.until
    query = select(table.c.account, table.c.memory, table.c.id).where(*wanted).order_by(table.c.id)
    found: dict[Shelf, list[int]] = {}
    for row in await connection.execute(query.limit(limit)):
        found.setdefault(Shelf(row.account, row.memory, kind), []).append(row.id)
    return found


async def count_lacking(connection: AsyncConnection, shelf: Shelf, lack: Lack) -> int:
    table = _TABLES[shelf.kind]
    own = table.c.account == shelf.account, table.c.memory == shelf.memory
    query = select(func.count()).where(*own, table.c.id > lack.done, table.c.id <= lack.until)
    return (await connection.execute(query)).scalar_one()


async def all_shelves(connection: AsyncConnection, kind: Kind) -> list[Shelf]:
    rows = await connection.execute(select(memories.c.account, memories.c.id))
    return [Shelf(row.account, row.id, kind) for row in rows]
