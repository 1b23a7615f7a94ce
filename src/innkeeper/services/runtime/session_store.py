"""Tables and queries of sessions, and of the images that hibernated ones are woken from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.services.runtime.model import SessionImage, SessionKey, SessionRecord, SessionStatus

SEALED_CREDENTIALS = VaultSealed("{account}/credentials-of-agents")

sessions = Table(
    "runtime_sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("runtime_id", String(128), nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("session_id", String(256), nullable=False),
    Column("version", Integer, nullable=False),
    Column("host", String(128), nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("last_used_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("end_reason", Text),
    Column("cpu_seconds", Float, nullable=False),
    Column("memory_peak_mib", Float, nullable=False),
    Index(None, "account", "runtime_id", "started_at"),
    Index(None, "host", "status"),
)

images = Table(
    "runtime_session_images",
    metadata,
    Column("account", String(12), nullable=False),
    Column("life", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("agent", Integer, nullable=False),
    Column("access_key_id", String(128), nullable=False),
    Column("mcp_session", Text),
    Column("ends_at", Moment, nullable=False),
    Column("storage", String(32)),
    Column("credentials", SEALED_CREDENTIALS),
    PrimaryKeyConstraint("account", "life"),
)

_OVER = (SessionStatus.TERMINATED, SessionStatus.HIBERNATED)

SESSIONS = Cursor("sessions of an agent runtime", datetime, str)


async def insert_session(connection: AsyncConnection, record: SessionRecord) -> None:
    values = asdict(record)
    values.update(values.pop("key"))
    await connection.execute(insert(sessions).values(values))


async def update_session(connection: AsyncConnection, id_: str, values: Mapping[str, Any]) -> None:
    """One that has ended stays as it was then."""
    living = sessions.c.status != SessionStatus.TERMINATED
    await connection.execute(update(sessions).where(sessions.c.id == id_, living).values(values))


async def recover_host(connection: AsyncConnection, host: str, values: Mapping[str, Any]) -> None:
    """The sandboxes that an earlier server of this host had are gone: those that have an image go back to it,
    the records of the others are closed with `values`."""
    left = sessions.c.host == host, sessions.c.status.not_in(_OVER)
    imaged = sessions.c.id.in_(select(images.c.life))
    back = {"status": SessionStatus.HIBERNATED}
    await connection.execute(update(sessions).where(*left, imaged).values(back))
    await connection.execute(update(sessions).where(*left).values(values))


async def list_sessions(
    connection: AsyncConnection, account: str, runtime_id: str, page: PageRequest
) -> Sequence[SessionRecord]:
    """Newest first."""
    query = (
        select(sessions)
        .where(sessions.c.account == account, sessions.c.runtime_id == runtime_id)
        .order_by(sessions.c.started_at.desc(), sessions.c.id.desc())
        .limit(page.size + 1)
    )
    if after := SESSIONS.of(account, runtime_id).after(page):
        last = literal(after[0], Moment()), literal(after[1])
        query = query.where(tuple_(sessions.c.started_at, sessions.c.id) < tuple_(*last))
    return [_session(row) for row in (await connection.execute(query)).mappings()]


async def find_session(
    connection: AsyncConnection, account: str, runtime_id: str, session_id: str, endpoint: str | None
) -> SessionRecord | None:
    """Its latest life."""
    query = (
        select(sessions)
        .where(
            sessions.c.account == account,
            sessions.c.runtime_id == runtime_id,
            sessions.c.session_id == session_id,
        )
        .order_by(sessions.c.started_at.desc())
        .limit(1)
    )
    if endpoint is not None:
        query = query.where(sessions.c.endpoint == endpoint)
    row = (await connection.execute(query)).mappings().first()
    return _session(row) if row else None


async def delete_ended(
    connection: AsyncConnection, before: datetime, most: int
) -> tuple[int, set[SessionKey]]:
    """Of all tenants' lives that ended before, so many at most: how many, and the sessions of which no life
    is known any more."""
    ended = sessions.c.status == SessionStatus.TERMINATED, sessions.c.ended_at < before
    rows = (await connection.execute(select(sessions).where(*ended).limit(most))).mappings().all()
    records = [_session(row) for row in rows]
    await connection.execute(delete(sessions).where(sessions.c.id.in_([one.id for one in records])))
    left = set()
    for key in {one.key for one in records}:
        found = await find_session(connection, key.account, key.runtime_id, key.session_id, key.endpoint)
        left |= {key} if found is None else set()
    return len(records), left


async def put_image(connection: AsyncConnection, image: SessionImage) -> None:
    """In the place of the one that this life of a session had."""
    await delete_image(connection, image.account, image.life)
    await connection.execute(insert(images).values(asdict(image)))


async def delete_image(connection: AsyncConnection, account: str, life: str) -> None:
    await connection.execute(delete(images).where(images.c.account == account, images.c.life == life))


async def image_bytes(connection: AsyncConnection, account: str) -> int:
    """What an account's images take on disk."""
    total = select(func.coalesce(func.sum(images.c.size_bytes), 0)).where(images.c.account == account)
    return int((await connection.execute(total)).scalar_one())


async def hibernated(connection: AsyncConnection, host: str) -> Sequence[tuple[SessionRecord, SessionImage]]:
    """Those of all tenants that lie on this host."""
    joined = images.c.life == sessions.c.id
    here = sessions.c.host == host, sessions.c.status == SessionStatus.HIBERNATED
    records = (await connection.execute(select(sessions).where(*here))).mappings()
    found = (await connection.execute(select(images).join(sessions, joined).where(*here))).mappings()
    by_life = {row["life"]: SessionImage(**row) for row in found}
    return [(_session(row), by_life[row["id"]]) for row in records if row["id"] in by_life]


def _session(row: RowMapping) -> SessionRecord:
    values = dict(row)
    key = SessionKey(*(values.pop(name) for name in ("account", "runtime_id", "endpoint", "session_id")))
    return SessionRecord(**{**values, "key": key, "status": SessionStatus(values["status"])})
