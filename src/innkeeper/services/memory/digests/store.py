"""The table of digests, and its queries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Integer,
    String,
    Table,
    UniqueConstraint,
    and_,
    false,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.services.memory.digests.model import Digest, DigestKey, Ending
from innkeeper.services.memory.sealing.columns import SealedText, bound_by
from innkeeper.services.memory.sealing.rows import Row, read, seal_values

_KEY = ("account", "memory", "actor", "session", "branch")
_CONTENT = ("text", "event_id", "turns", "version", "asked", "updated_at")
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
    Column("text", SealedText, nullable=False),
    Column("happened_at", Moment, nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("turns", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("asked", Boolean, nullable=False, server_default=false()),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint(*_KEY),
    info=bound_by("actor", "session", "branch"),
)


async def find_digest(connection: AsyncConnection, key: DigestKey) -> Digest | None:
    found = await read(connection, digests, select(digests).where(_is(key)))
    return to_digest(found[0]) if found else None


async def keep_digest(connection: AsyncConnection, digest: Digest) -> bool:
    """False when another has made this version."""
    values = {name: getattr(digest, name) for name in _CONTENT}
    values |= {name: getattr(digest.ending, name) for name in _ENDING}
    place = {name: getattr(digest.key, name) for name in _KEY}
    values = await seal_values(connection, digests, place, values)
    if digest.version > 1:
        before = and_(_is(digest.key), digests.c.version == digest.version - 1)
        return bool((await connection.execute(update(digests).where(before).values(values))).rowcount)
    statement = (
        upsert(connection, digests).values(place | values).on_conflict_do_nothing().returning(digests.c.id)
    )
    return (await connection.execute(statement)).first() is not None


def _is(key: DigestKey) -> ColumnElement[bool]:
    return and_(*(digests.c[name] == getattr(key, name) for name in _KEY))


def to_digest(row: Row) -> Digest:
    return Digest(
        key=DigestKey(*(row[name] for name in _KEY)),
        ending=Ending(*(row[name] for name in _ENDING)),
        **{name: row[name] for name in _CONTENT},
    )
