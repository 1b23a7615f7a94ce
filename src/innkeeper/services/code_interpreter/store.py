"""Tables and queries of custom code interpreters and of sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.services.code_interpreter.model import CodeInterpreter, SessionRecord, SessionStatus

interpreters = Table(
    "code_interpreters",
    metadata,
    Column("account", String(12), nullable=False),
    Column("id", String(64), nullable=False),
    Column("name", String(48), nullable=False),
    Column("arn", Text, nullable=False),
    Column("configuration", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "id"),
    UniqueConstraint("account", "name"),
)

sessions = Table(
    "code_interpreter_sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("interpreter", String(64), nullable=False),
    Column("name", String(100)),
    Column("status", String(16), nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("host", String(128), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("end_reason", Text),
    Column("cpu_seconds", Float, nullable=False),
    Column("memory_peak_mib", Float, nullable=False),
    Index(None, "account", "interpreter", "created_at"),
    Index(None, "host", "status"),
)

INTERPRETERS = Cursor("code interpreters", str)
SESSIONS = Cursor("sessions of a code interpreter", datetime, str)


async def insert_interpreter(connection: AsyncConnection, interpreter: CodeInterpreter) -> None:
    await connection.execute(insert(interpreters).values(asdict(interpreter)))


async def find_interpreter(
    connection: AsyncConnection, account: str, interpreter_id: str
) -> CodeInterpreter | None:
    query = select(interpreters).where(interpreters.c.account == account, interpreters.c.id == interpreter_id)
    row = (await connection.execute(query)).mappings().first()
    return CodeInterpreter(**row) if row else None


async def list_interpreters(
    connection: AsyncConnection, account: str, page: PageRequest
) -> Sequence[CodeInterpreter]:
    query = select(interpreters).where(interpreters.c.account == account).order_by(interpreters.c.id)
    if after := INTERPRETERS.after(page):
        query = query.where(interpreters.c.id > after[0])
    rows = (await connection.execute(query.limit(page.size + 1))).mappings()
    return [CodeInterpreter(**row) for row in rows]


async def delete_interpreter(connection: AsyncConnection, account: str, interpreter_id: str) -> None:
    await connection.execute(
        delete(interpreters).where(interpreters.c.account == account, interpreters.c.id == interpreter_id)
    )


async def insert_session(connection: AsyncConnection, record: SessionRecord) -> None:
    await connection.execute(insert(sessions).values(asdict(record)))


async def find_session(
    connection: AsyncConnection, account: str, interpreter_id: str, session_id: str
) -> SessionRecord | None:
    query = select(sessions).where(
        sessions.c.id == session_id,
        sessions.c.account == account,
        sessions.c.interpreter == interpreter_id,
    )
    row = (await connection.execute(query)).mappings().first()
    return _record(row) if row else None


async def list_sessions(
    connection: AsyncConnection,
    account: str,
    interpreter_id: str,
    status: SessionStatus | None,
    page: PageRequest,
) -> Sequence[SessionRecord]:
    """Newest first."""
    query = select(sessions).where(sessions.c.account == account, sessions.c.interpreter == interpreter_id)
    if status is not None:
        query = query.where(sessions.c.status == status)
    if after := SESSIONS.of(account, interpreter_id).after(page):
        last = literal(after[0], Moment), literal(after[1])
        query = query.where(tuple_(sessions.c.created_at, sessions.c.id) < tuple_(*last))
    query = query.order_by(sessions.c.created_at.desc(), sessions.c.id.desc()).limit(page.size + 1)
    return [_record(row) for row in (await connection.execute(query)).mappings()]


async def update_session(connection: AsyncConnection, session_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(sessions).where(sessions.c.id == session_id).values(values))


async def end_sessions_of_host(connection: AsyncConnection, host: str, values: Mapping[str, Any]) -> None:
    live = sessions.c.status == SessionStatus.READY
    await connection.execute(update(sessions).where(sessions.c.host == host, live).values(values))


async def delete_ended(connection: AsyncConnection, before: datetime) -> int:
    """Those of all tenants; how many."""
    ended = sessions.c.status == SessionStatus.TERMINATED, sessions.c.updated_at < before
    return (await connection.execute(delete(sessions).where(*ended))).rowcount


def _record(row: RowMapping) -> SessionRecord:
    return SessionRecord(**{**row, "status": SessionStatus(row["status"])})
