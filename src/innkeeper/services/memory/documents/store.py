"""Tables and queries of documents, of their chunks, and of what sessions have in view of them."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    String,
    Table,
    UniqueConstraint,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.services.memory.documents import model
from innkeeper.services.memory.documents.model import Chunk, Section
from innkeeper.services.memory.sealing.columns import SealedJson, SealedText, bound_by
from innkeeper.services.memory.sealing.rows import Row, read, seal, seal_values

_RowId = BigInteger().with_variant(Integer, "sqlite")

documents = Table(
    "memory_documents",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("document", String(40), nullable=False),
    Column("title", SealedText, nullable=False),
    Column("summary", SealedText, nullable=False),
    Column("sections", SealedJson, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("account", "memory", "actor", "document"),
    info=bound_by("actor", "document"),
)

chunks = Table(
    "memory_chunks",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("document", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("heading", SealedText, nullable=False),
    Column("text", SealedText, nullable=False),
    UniqueConstraint("account", "memory", "actor", "document", "number"),
    sqlite_autoincrement=True,
    info=bound_by("actor", "document", "number"),
)

# A session has a chunk in view: `session` is that session, whatever the document's is.
pulled = Table(
    "memory_pulled",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("document", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    UniqueConstraint("account", "memory", "actor", "session", "document", "number"),
)

Owner = tuple[str, str, str]
"""Account, memory and actor."""


def _of(owner: Owner) -> dict[str, str]:
    account, memory, actor = owner
    return {"account": account, "memory": memory, "actor": actor}


def of_owner(table: Table, owner: Owner) -> ColumnElement[bool]:
    account, memory, actor = owner
    return and_(table.c.account == account, table.c.memory == memory, table.c.actor == actor)


async def insert_document(connection: AsyncConnection, made: model.Text, pieces: Sequence[Chunk]) -> None:
    values = {"account": made.account, "memory": made.memory, "actor": made.actor, "session": made.session}
    about = {name: getattr(made, name) for name in ("title", "summary", "chunks", "tokens", "created_at")}
    sections = [asdict(one) for one in made.sections]
    row = {**values, "document": made.id, "sections": sections, **about}
    await connection.execute(insert(documents), await seal(connection, documents, [row]))
    rows = [{**values, **asdict(one)} for one in pieces]
    if rows:
        await connection.execute(insert(chunks), await seal(connection, chunks, rows))


async def find_document(connection: AsyncConnection, owner: Owner, id_: str) -> model.Text | None:
    query = select(documents).where(of_owner(documents, owner), documents.c.document == id_)
    found = await read(connection, documents, query)
    return to_document(found[0]) if found else None


async def list_documents(
    connection: AsyncConnection, owner: Owner, sessions: Sequence[str]
) -> list[model.Text]:
    """Without their sections, of which one may have very many."""
    some = (one for one in documents.c if one is not documents.c.sections)
    query = select(*some).where(of_owner(documents, owner), documents.c.session.in_(sessions))
    rows = await read(connection, documents, query.order_by(documents.c.id))
    return list(map(to_document, rows))


async def count_documents(connection: AsyncConnection, owner: Owner) -> int:
    query = select(func.count()).select_from(documents).where(of_owner(documents, owner))
    return (await connection.execute(query)).scalar_one()


async def read_chunks(
    connection: AsyncConnection, owner: Owner, id_: str, first: int, last: int
) -> list[Chunk]:
    query = select(chunks).where(
        of_owner(chunks, owner), chunks.c.document == id_, chunks.c.number.between(first, last)
    )
    return list(map(_chunk, await read(connection, chunks, query.order_by(chunks.c.number))))


async def chunks_by_row(
    connection: AsyncConnection, owner: Owner, sessions: Sequence[str], rows: Sequence[int]
) -> dict[int, Chunk]:
    """Those of them that are there, in documents of these sessions; by number of their row."""
    query = select(chunks).where(of_owner(chunks, owner), chunks.c.session.in_(sessions))
    found = await read(connection, chunks, query.where(chunks.c.id.in_(rows)))
    return {row["id"]: _chunk(row) for row in found}


async def delete_document(connection: AsyncConnection, owner: Owner, id_: str) -> bool:
    """With its chunks, also those in view. False when there is none."""
    gone = 0
    for table in (pulled, chunks, documents):
        statement = delete(table).where(of_owner(table, owner), table.c.document == id_)
        gone = (await connection.execute(statement)).rowcount
    return bool(gone)


async def set_chunk(connection: AsyncConnection, owner: Owner, id_: str, number: int, text: str) -> bool:
    """False when there is none."""
    which = of_owner(chunks, owner), chunks.c.document == id_, chunks.c.number == number
    place = {**_of(owner), "document": id_, "number": number}
    values = await seal_values(connection, chunks, place, {"text": text})
    return bool((await connection.execute(update(chunks).where(*which).values(values))).rowcount)


async def set_title(connection: AsyncConnection, owner: Owner, id_: str, title: str) -> bool:
    """False when there is no such document."""
    which = of_owner(documents, owner), documents.c.document == id_
    values = await seal_values(connection, documents, {**_of(owner), "document": id_}, {"title": title})
    return bool((await connection.execute(update(documents).where(*which).values(values))).rowcount)


async def pull(
    connection: AsyncConnection, owner: Owner, session: str, id_: str, numbers: Sequence[int]
) -> None:
    account, memory, actor = owner
    values = {"account": account, "memory": memory, "actor": actor, "session": session, "document": id_}
    if numbers:
        await connection.execute(insert(pulled), [{**values, "number": number} for number in numbers])


async def release(
    connection: AsyncConnection, owner: Owner, session: str, id_: str, first: int, last: int
) -> int:
    """How many were in view."""
    gone = delete(pulled).where(
        of_owner(pulled, owner),
        pulled.c.session == session,
        pulled.c.document == id_,
        pulled.c.number.between(first, last),
    )
    return (await connection.execute(gone)).rowcount


async def in_view(connection: AsyncConnection, owner: Owner, session: str) -> list[Chunk]:
    """In the order in which their documents came, and in that of the text."""
    same = [chunks.c[name] == pulled.c[name] for name in ("account", "memory", "actor", "document", "number")]
    query = (
        select(chunks)
        .join(pulled, and_(*same))
        .where(of_owner(pulled, owner), pulled.c.session == session)
        .order_by(chunks.c.id)
    )
    return list(map(_chunk, await read(connection, chunks, query)))


def _chunk(row: Row) -> Chunk:
    return Chunk(row["document"], row["number"], row["heading"], row["text"])


def to_document(row: Row) -> model.Text:
    names = ("account", "memory", "actor", "session", "title", "summary", "chunks", "tokens", "created_at")
    return model.Text(
        **{name: row[name] for name in names},
        id=row["document"],
        sections=[Section(**one) for one in row.get("sections", ())],
    )
