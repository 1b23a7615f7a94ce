"""The table of sessions' snapshots, and its queries."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.services.runtime.model import SessionSnapshot
from innkeeper.services.runtime.session_store import SEALED_CREDENTIALS

snapshots = Table(
    "runtime_snapshots",
    metadata,
    Column("account", String(12), nullable=False),
    Column("runtime_id", String(128), nullable=False),
    Column("id", String(32), nullable=False),
    Column("name", String(63)),
    Column("endpoint", String(64), nullable=False),
    Column("session_id", String(256), nullable=False),
    Column("version", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("image", String(32), nullable=False),
    Column("agent", Integer, nullable=False),
    Column("access_key_id", String(128), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("mcp_session", Text),
    Column("storage", String(32)),
    Column("credentials", SEALED_CREDENTIALS),
    PrimaryKeyConstraint("account", "id"),
    UniqueConstraint("account", "runtime_id", "name"),
)

SNAPSHOTS = Cursor("snapshots of an agent runtime", datetime, str)


async def insert_snapshot(connection: AsyncConnection, snapshot: SessionSnapshot) -> None:
    """Raises IntegrityError when the name is taken."""
    await connection.execute(insert(snapshots).values(asdict(snapshot)))


async def find_snapshot(
    connection: AsyncConnection, account: str, runtime_id: str, word: str
) -> SessionSnapshot | None:
    """By its id or its name."""
    named = or_(snapshots.c.id == word, snapshots.c.name == word)
    query = select(snapshots).where(*_of(account, runtime_id), named)
    row = (await connection.execute(query)).mappings().first()
    return SessionSnapshot(**row) if row else None


async def list_snapshots(
    connection: AsyncConnection, account: str, runtime_id: str, page: PageRequest
) -> Sequence[SessionSnapshot]:
    """Newest first."""
    query = select(snapshots).where(*_of(account, runtime_id))
    if after := SNAPSHOTS.of(account, runtime_id).after(page):
        last = tuple_(literal(after[0], Moment()), literal(after[1]))
        query = query.where(tuple_(snapshots.c.created_at, snapshots.c.id) < last)
    query = query.order_by(snapshots.c.created_at.desc(), snapshots.c.id.desc()).limit(page.size + 1)
    return [SessionSnapshot(**row) for row in (await connection.execute(query)).mappings()]


async def snapshots_of(
    connection: AsyncConnection, account: str, runtime_id: str
) -> Sequence[SessionSnapshot]:
    """All of a runtime's."""
    rows = (await connection.execute(select(snapshots).where(*_of(account, runtime_id)))).mappings()
    return [SessionSnapshot(**row) for row in rows]


async def count_snapshots(connection: AsyncConnection, account: str) -> int:
    query = select(func.count()).select_from(snapshots).where(snapshots.c.account == account)
    return int((await connection.execute(query)).scalar_one())


async def snapshot_bytes(connection: AsyncConnection, account: str) -> int:
    """What an account's snapshots take on disk."""
    total = select(func.coalesce(func.sum(snapshots.c.size_bytes), 0)).where(snapshots.c.account == account)
    return int((await connection.execute(total)).scalar_one())


async def delete_snapshot(connection: AsyncConnection, account: str, id_: str) -> None:
    await connection.execute(delete(snapshots).where(snapshots.c.account == account, snapshots.c.id == id_))


async def kept(connection: AsyncConnection) -> tuple[set[str], set[str]]:
    """The images and the copies of storage that snapshots stand on, of all tenants."""
    rows = (await connection.execute(select(snapshots.c.image, snapshots.c.storage))).all()
    return {row.image for row in rows}, {row.storage for row in rows if row.storage}


def _of(account: str, runtime_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return snapshots.c.account == account, snapshots.c.runtime_id == runtime_id
