"""The table of the memories' keys, each wrapped by the vault."""

from typing import NamedTuple

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import metadata, upsert
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.services.memory.model import MemoryStatus
from innkeeper.services.memory.store import memories

WRAPPED = VaultSealed("memory-key/{account}/{memory}")
HISTORY = VaultSealed("memory-history-key/{account}/{memory}")

# `history` is the key of the chain of the memory's history; it is missing where that is of a time when it was
# derived from the master key. Not `whole`: there may be texts of the memory that were written before it had a
# key, and lie in the clear.
keys = Table(
    "memory_keys",
    metadata,
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("wrapped", WRAPPED, nullable=False),
    Column("history", HISTORY),
    Column("whole", Boolean, nullable=False),
    PrimaryKeyConstraint("account", "memory"),
)


class WrappedKeys(NamedTuple):
    wrapped: bytes
    history: bytes | None


def find_keys(connection: Connection, account: str, memory: str) -> WrappedKeys | None:
    query = select(keys.c.wrapped, keys.c.history).where(keys.c.account == account, keys.c.memory == memory)
    row = connection.execute(query).first()
    return None if row is None else WrappedKeys(*row)


async def any_key(connection: AsyncConnection) -> tuple[str, str] | None:
    """Account and memory of one."""
    row = (await connection.execute(select(keys.c.account, keys.c.memory).limit(1))).first()
    return None if row is None else (row.account, row.memory)


async def insert_keys(connection: AsyncConnection, account: str, memory: str, made: WrappedKeys) -> None:
    """Of a memory that has nothing in it."""
    values = {"account": account, "memory": memory, **made._asdict(), "whole": True}
    await connection.execute(insert(keys).values(values))


async def give_key(connection: AsyncConnection, account: str, memory: str, wrapped: bytes) -> None:
    """To a memory that may hold texts in the clear; if it has one, it keeps that."""
    values = {"account": account, "memory": memory, "wrapped": wrapped, "whole": False}
    await connection.execute(upsert(connection, keys).values(values).on_conflict_do_nothing())


async def delete_key(connection: AsyncConnection, account: str, memory: str) -> None:
    await connection.execute(delete(keys).where(keys.c.account == account, keys.c.memory == memory))


async def without_key(connection: AsyncConnection) -> list[tuple[str, str]]:
    """Account and id of memories in use that have none."""
    same = (keys.c.account == memories.c.account) & (keys.c.memory == memories.c.id)
    query = select(memories.c.account, memories.c.id).outerjoin(keys, same)
    query = query.where(keys.c.memory.is_(None), memories.c.status == MemoryStatus.ACTIVE)
    return [(row.account, row.id) for row in await connection.execute(query)]


async def without_history_key(connection: AsyncConnection) -> list[tuple[str, str]]:
    """Account and memory of each."""
    query = select(keys.c.account, keys.c.memory).where(keys.c.history.is_(None))
    return [(row.account, row.memory) for row in await connection.execute(query)]


async def give_history_key(connection: AsyncConnection, account: str, memory: str, history: bytes) -> None:
    """If it has one, it keeps that."""
    here = (keys.c.account == account) & (keys.c.memory == memory) & keys.c.history.is_(None)
    await connection.execute(update(keys).where(here).values(history=history))


async def is_any_unwhole(connection: AsyncConnection) -> bool:
    query = select(keys.c.memory).where(~keys.c.whole).limit(1)
    return (await connection.execute(query)).first() is not None


async def mark_whole(connection: AsyncConnection) -> None:
    """All of them."""
    await connection.execute(update(keys).values(whole=True))
