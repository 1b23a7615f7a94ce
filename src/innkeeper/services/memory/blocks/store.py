"""Tables and queries of blocks and of what they said before."""

from collections.abc import Sequence
from typing import Any

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

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.services.memory.blocks.model import Block, BlockKey, BlockVersion
from innkeeper.services.memory.sealing.columns import SealedText, bound_by
from innkeeper.services.memory.sealing.rows import Row, read, seal, seal_values

_PLACE = ("account", "memory", "actor", "session", "name")

blocks = Table(
    "memory_blocks",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("name", String(64), nullable=False),
    Column("text", SealedText, nullable=False),
    Column("description", SealedText, nullable=False),
    Column("most", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint(*_PLACE),
    info=bound_by("actor", "session", "name"),
)

versions = Table(
    "memory_block_versions",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", SealedText, nullable=False),
    Column("written_at", Moment, nullable=False),
    UniqueConstraint(*_PLACE, "version"),
    info=bound_by("actor", "session", "name", "version"),
)


async def find_block(connection: AsyncConnection, key: BlockKey) -> Block | None:
    found = await read(connection, blocks, select(blocks).where(_is(blocks, key)))
    return to_block(found[0]) if found else None


async def list_blocks(
    connection: AsyncConnection, account: str, memory: str, actor: str, sessions: Sequence[str]
) -> list[Block]:
    """Those of all sessions before those of one; by name."""
    of_actor = blocks.c.account == account, blocks.c.memory == memory, blocks.c.actor == actor
    query = select(blocks).where(*of_actor, blocks.c.session.in_(sessions))
    rows = await read(connection, blocks, query.order_by(blocks.c.session, blocks.c.name))
    return list(map(to_block, rows))


async def count_blocks(connection: AsyncConnection, key: BlockKey) -> int:
    """Of the actor."""
    query = select(func.count()).where(
        blocks.c.account == key.account, blocks.c.memory == key.memory, blocks.c.actor == key.actor
    )
    return (await connection.execute(query)).scalar_one()


async def insert_block(connection: AsyncConnection, block: Block) -> bool:
    """False when there is one already."""
    row = _values(block.key) | _content(block) | {"created_at": block.created_at}
    [values] = await seal(connection, blocks, [row])
    statement = upsert(connection, blocks).values(values).on_conflict_do_nothing().returning(blocks.c.id)
    return (await connection.execute(statement)).first() is not None


async def replace_block(connection: AsyncConnection, block: Block) -> bool:
    """False when it is not the version before this one any more."""
    before = and_(_is(blocks, block.key), blocks.c.version == block.version - 1)
    values = await seal_values(connection, blocks, _values(block.key), _content(block))
    return bool((await connection.execute(update(blocks).where(before).values(values))).rowcount)


async def delete_block(connection: AsyncConnection, key: BlockKey, version: int) -> bool:
    """With what it said before. False when it is not this version any more."""
    same = and_(_is(blocks, key), blocks.c.version == version)
    gone = bool((await connection.execute(delete(blocks).where(same))).rowcount)
    if gone:
        await connection.execute(delete(versions).where(_is(versions, key)))
    return gone


async def keep_version(connection: AsyncConnection, block: Block, kept: int) -> None:
    """Note what the block says; let go of what it said more than `kept` versions before."""
    values = {"version": block.version, "text": block.text, "written_at": block.updated_at}
    await connection.execute(
        insert(versions), await seal(connection, versions, [_values(block.key) | values])
    )
    old = versions.c.version <= block.version - kept
    await connection.execute(delete(versions).where(_is(versions, block.key), old))


async def list_versions(connection: AsyncConnection, key: BlockKey) -> list[BlockVersion]:
    """The newest first."""
    query = select(versions).where(_is(versions, key)).order_by(versions.c.version.desc())
    rows = await read(connection, versions, query)
    return [BlockVersion(row["version"], row["text"], row["written_at"]) for row in rows]


def _is(table: Table, key: BlockKey) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in _values(key).items()))


def _values(key: BlockKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in _PLACE}


def _content(block: Block) -> dict[str, Any]:
    names = ("text", "description", "most", "version", "updated_at")
    return {name: getattr(block, name) for name in names}


def to_block(row: Row) -> Block:
    return Block(
        key=BlockKey(*(row[name] for name in _PLACE)),
        text=row["text"],
        description=row["description"],
        most=row["most"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
