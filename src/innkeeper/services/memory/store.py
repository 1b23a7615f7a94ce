"""Tables and queries of memories."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    JSON,
    Column,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.services.memory.model import Memory, MemoryStatus

memories = Table(
    "memories",
    metadata,
    Column("account", String(12), nullable=False),
    Column("id", String(64), nullable=False),
    Column("name", String(48), nullable=False),
    Column("arn", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("event_expiry_days", Integer, nullable=False),
    Column("strategies", JSON, nullable=False),
    Column("configuration", JSON, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "id"),
    UniqueConstraint("account", "name"),
)


async def insert_memory(connection: AsyncConnection, memory: Memory) -> None:
    await connection.execute(insert(memories).values(asdict(memory)))


async def find_memory(connection: AsyncConnection, account: str, memory_id: str) -> Memory | None:
    query = select(memories).where(memories.c.account == account, memories.c.id == memory_id)
    row = (await connection.execute(query)).mappings().first()
    return _memory(row) if row else None


async def find_named(connection: AsyncConnection, account: str, name: str) -> Memory | None:
    """By name or id."""
    named = or_(memories.c.name == name, memories.c.id == name)
    row = (await connection.execute(select(memories).where(memories.c.account == account, named))).mappings()
    return next(map(_memory, row), None)


async def count_memories(connection: AsyncConnection, account: str) -> int:
    query = select(func.count()).select_from(memories).where(memories.c.account == account)
    return (await connection.execute(query)).scalar_one()


async def list_memories(
    connection: AsyncConnection, account: str, after: str | None, limit: int
) -> Sequence[Memory]:
    query = select(memories).where(memories.c.account == account).order_by(memories.c.id)
    if after is not None:
        query = query.where(memories.c.id > after)
    rows = (await connection.execute(query.limit(limit))).mappings()
    return [_memory(row) for row in rows]


async def list_in_deletion(connection: AsyncConnection) -> Sequence[Memory]:
    """Of all accounts."""
    query = select(memories).where(memories.c.status == MemoryStatus.DELETING)
    return [_memory(row) for row in (await connection.execute(query)).mappings()]


async def replace_memory(connection: AsyncConnection, memory: Memory) -> bool:
    """False when it is not the revision before this one any more."""
    statement = (
        update(memories)
        .where(
            memories.c.account == memory.account,
            memories.c.id == memory.id,
            memories.c.revision == memory.revision - 1,
        )
        .values(asdict(memory))
    )
    return bool((await connection.execute(statement)).rowcount)


async def mark_deleting(connection: AsyncConnection, account: str, memory_id: str, now: datetime) -> None:
    """From then on nothing is written to it; a writer that began before has ended."""
    statement = update(memories).where(memories.c.account == account, memories.c.id == memory_id)
    await connection.execute(
        statement.values(status=MemoryStatus.DELETING, updated_at=now, revision=memories.c.revision + 1)
    )


async def delete_memory(connection: AsyncConnection, account: str, memory_id: str) -> None:
    await connection.execute(
        delete(memories).where(memories.c.account == account, memories.c.id == memory_id)
    )


def _memory(row: RowMapping) -> Memory:
    return Memory(**{**row, "status": MemoryStatus(row["status"])})
