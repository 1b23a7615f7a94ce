"""The table of the tokens that open a memory as a tool, and its queries."""

from collections.abc import Sequence
from datetime import datetime

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
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.services.memory.records.model import Trust
from innkeeper.services.memory.tool.model import Holder, ToolToken

tool_tokens = Table(
    "memory_tool_tokens",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("token", String(42), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("trust", String(16), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    UniqueConstraint("account", "memory", "token"),
)


async def insert_token(connection: AsyncConnection, made: ToolToken) -> None:
    holder = made.holder
    await connection.execute(
        insert(tool_tokens).values(
            account=holder.account,
            memory=holder.memory,
            token=made.id,
            actor=holder.actor,
            trust=holder.trust,
            created_at=made.created_at,
            expires_at=made.expires_at,
        )
    )


async def find_token(
    connection: AsyncConnection, account: str, memory: str, id_: str, now: datetime
) -> ToolToken | None:
    """One that opens something still."""
    query = select(tool_tokens).where(_valid(account, memory, now), tool_tokens.c.token == id_)
    row = (await connection.execute(query)).mappings().first()
    return _token(row) if row else None


async def count_tokens(connection: AsyncConnection, account: str, memory: str, now: datetime) -> int:
    query = select(func.count()).select_from(tool_tokens).where(_valid(account, memory, now))
    return (await connection.execute(query)).scalar_one()


async def list_tokens(
    connection: AsyncConnection,
    account: str,
    memory: str,
    actor: str | None,
    after: int,
    limit: int,
    now: datetime,
) -> Sequence[tuple[int, ToolToken]]:
    """Those that open something still, of an actor or of all; the oldest first, each with its number."""
    query = select(tool_tokens).where(_valid(account, memory, now), tool_tokens.c.id > after)
    if actor is not None:
        query = query.where(tool_tokens.c.actor == actor)
    rows = await connection.execute(query.order_by(tool_tokens.c.id).limit(limit))
    return [(row["id"], _token(row)) for row in rows.mappings()]


async def delete_token(connection: AsyncConnection, account: str, memory: str, id_: str) -> bool:
    """False when there is none."""
    which = and_(_of_memory(account, memory), tool_tokens.c.token == id_)
    return bool((await connection.execute(delete(tool_tokens).where(which))).rowcount)


async def delete_expired(connection: AsyncConnection, now: datetime) -> None:
    """Of all accounts."""
    await connection.execute(delete(tool_tokens).where(tool_tokens.c.expires_at <= now))


def _of_memory(account: str, memory: str) -> ColumnElement[bool]:
    return and_(tool_tokens.c.account == account, tool_tokens.c.memory == memory)


def _valid(account: str, memory: str, now: datetime) -> ColumnElement[bool]:
    return and_(_of_memory(account, memory), tool_tokens.c.expires_at > now)


def _token(row: RowMapping) -> ToolToken:
    holder = Holder(row["account"], row["memory"], row["actor"], Trust(row["trust"]))
    return ToolToken(row["token"], holder, row["created_at"], row["expires_at"])
