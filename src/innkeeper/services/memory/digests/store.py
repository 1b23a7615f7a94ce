"""The table of digests, and its queries."""

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    select,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.services.memory.digests.model import Digest, DigestKey, Ending

_KEY = ("account", "memory", "actor", "session", "branch")
_CONTENT = ("text", "event_id", "turns", "version", "updated_at")
_ENDING = ("happened_at", "row", "seen")

digests = Table(
    "memory_digests",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("branch", String(100), nullable=False),
    Column("text", Text, nullable=False),
    Column("happened_at", Moment, nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("turns", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint(*_KEY),
)


async def find_digest(connection: AsyncConnection, key: DigestKey) -> Digest | None:
    row = (await connection.execute(select(digests).where(_is(key)))).mappings().first()
    return to_digest(row) if row else None


async def keep_digest(connection: AsyncConnection, digest: Digest) -> bool:
    """False when another has made this version."""
    values = {name: getattr(digest, name) for name in _CONTENT}
    values |= {name: getattr(digest.ending, name) for name in _ENDING}
    if digest.version > 1:
        before = and_(_is(digest.key), digests.c.version == digest.version - 1)
        return bool((await connection.execute(update(digests).where(before).values(values))).rowcount)
    values |= {name: getattr(digest.key, name) for name in _KEY}
    statement = upsert(connection, digests).values(values).on_conflict_do_nothing().returning(digests.c.id)
    return (await connection.execute(statement)).first() is not None


def _is(key: DigestKey) -> ColumnElement[bool]:
    return and_(*(digests.c[name] == getattr(key, name) for name in _KEY))


def to_digest(row: RowMapping) -> Digest:
    return Digest(
        key=DigestKey(*(row[name] for name in _KEY)),
        ending=Ending(*(row[name] for name in _ENDING)),
        **{name: row[name] for name in _CONTENT},
    )
