"""The table of the texts that wait for review, and its queries."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import (
    JSON,
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
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.services.memory.safety.held import Held, HeldKind
from innkeeper.services.memory.sealing.columns import SealedJson, SealedText, bound_by
from innkeeper.services.memory.sealing.rows import Row, read, seal

held = Table(
    "memory_held",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("held", String(41), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    Column("number", Integer, nullable=False),
    Column("text", SealedText, nullable=False),
    Column("detail", SealedJson, nullable=False),
    Column("concerns", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("account", "memory", "held"),
    sqlite_autoincrement=True,
    info=bound_by("actor", "held"),
)

Owner = tuple[str, str, str]
"""Account, memory and actor."""


async def hold(connection: AsyncConnection, texts: Sequence[Held]) -> None:
    if texts:
        rows = await seal(connection, held, [_values(one) for one in texts])
        await connection.execute(insert(held), rows)


async def list_held(
    connection: AsyncConnection, account: str, memory: str, after: int, limit: int
) -> list[tuple[int, Held]]:
    """The oldest first, each with its number."""
    query = select(held).where(_of_memory(account, memory), held.c.id > after)
    rows = await read(connection, held, query.order_by(held.c.id).limit(limit))
    return [(row["id"], _held(row)) for row in rows]


async def take(connection: AsyncConnection, account: str, memory: str, id_: str) -> Held | None:
    """It waits no more. None when it does not."""
    gone = delete(held).where(_of_memory(account, memory), held.c.held == id_).returning(held)
    found = await read(connection, held, gone)
    return _held(found[0]) if found else None


async def count_names(connection: AsyncConnection, owner: Owner, kind: HeldKind) -> int:
    """Of how many different things of an actor texts wait."""
    query = select(func.count(func.distinct(held.c.session + "/" + held.c.name)))
    return (await connection.execute(query.where(_of_owner(owner), held.c.kind == kind))).scalar_one()


async def drop(
    connection: AsyncConnection,
    owner: Owner,
    kinds: Sequence[HeldKind],
    name: str,
    session: str | None = None,
) -> None:
    """What waits of one thing, of all sessions or of one: what it was meant for is gone, or changed."""
    statement = delete(held).where(_of_owner(owner), held.c.kind.in_(kinds), held.c.name == name)
    if session is not None:
        statement = statement.where(held.c.session == session)
    await connection.execute(statement)


def _of_memory(account: str, memory: str) -> ColumnElement[bool]:
    return and_(held.c.account == account, held.c.memory == memory)


def _of_owner(owner: Owner) -> ColumnElement[bool]:
    account, memory, actor = owner
    return and_(_of_memory(account, memory), held.c.actor == actor)


def _values(one: Held) -> dict[str, object]:
    values = asdict(one)
    return {"held": values.pop("id"), **values, "concerns": list(one.concerns)}


def _held(row: Row) -> Held:
    members = {name: value for name, value in row.items() if name not in ("id", "held")}
    return Held(**{**members, "id": row["held"], "kind": HeldKind(row["kind"])})
