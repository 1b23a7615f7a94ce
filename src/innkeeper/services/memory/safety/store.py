"""The table of what each memory says of its safety."""

from datetime import datetime

from sqlalchemy import JSON, Column, PrimaryKeyConstraint, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.kernel.call import Document

policies = Table(
    "memory_safety",
    metadata,
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("policy", JSON, nullable=False),
    Column("updated_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "memory"),
)


async def find_policy(connection: AsyncConnection, account: str, memory: str) -> Document:
    """As it was put; empty when nothing was."""
    query = select(policies.c.policy).where(policies.c.account == account, policies.c.memory == memory)
    return (await connection.execute(query)).scalar() or {}


async def put_policy(
    connection: AsyncConnection, account: str, memory: str, policy: Document, now: datetime
) -> None:
    values = {"account": account, "memory": memory, "policy": policy, "updated_at": now}
    await connection.execute(
        upsert(connection, policies)
        .values(values)
        .on_conflict_do_update(
            index_elements=policies.primary_key.columns, set_={"policy": policy, "updated_at": now}
        )
    )
