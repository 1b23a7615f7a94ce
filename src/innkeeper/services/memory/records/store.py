"""The table of records, and its queries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.services.memory.namespaces import Scope
from innkeeper.services.memory.records.model import Record, RecordStatus, Trust
from innkeeper.services.memory.sealing.columns import Likeness, SealedJson, SealedText, bound_by
from innkeeper.services.memory.sealing.rows import Row, likeness, read, seal, seal_values

_GENERATIONS = 8  # of what records took the place of

records = Table(
    "memory_records",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("record_id", String(50), nullable=False),
    Column("namespace", String(1024), nullable=False),
    Column("strategy", String(100), nullable=False),
    Column("text", SealedText, nullable=False),
    Column("likeness", Likeness("text")),
    Column("metadata", SealedJson, nullable=False),
    Column("happened_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("valid_from", Moment, nullable=False),
    Column("expires_at", Moment, index=True),
    Column("valid_to", Moment),
    Column("superseded_by", String(50)),
    Column("source_event_ids", JSON, nullable=False),
    Column("trust", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("concerns", JSON, nullable=False, server_default="[]"),
    UniqueConstraint("account", "memory", "record_id"),
    Index(None, "account", "memory", "namespace", "id"),
    Index(None, "account", "memory", "superseded_by"),
    sqlite_autoincrement=True,
    info=bound_by("record_id"),
)


async def insert_records(connection: AsyncConnection, made: Sequence[Record], row: int | None = None) -> None:
    """With `row`, a single one gets back the place in lists that it had."""
    place = {} if row is None else {"id": row}
    if made:
        rows = [asdict(one) | place for one in made]
        await connection.execute(insert(records), await seal(connection, records, rows))


async def rows_of(
    connection: AsyncConnection, account: str, memory: str, ids: Iterable[str]
) -> list[tuple[int, Record]]:
    """Each with its number, whether it holds or not."""
    query = select(records).where(_of_memory(account, memory), records.c.record_id.in_(list(ids)))
    return [(row["id"], to_record(row)) for row in await read(connection, records, query)]


async def find_records(
    connection: AsyncConnection, account: str, memory: str, ids: Iterable[str], now: datetime
) -> dict[str, Record]:
    """Those that hold now, by id."""
    query = select(records).where(_of_memory(account, memory), records.c.record_id.in_(list(ids)), holds(now))
    return {row["record_id"]: to_record(row) for row in await read(connection, records, query)}


async def records_by_row(
    connection: AsyncConnection, account: str, memory: str, rows: Sequence[int], which: ColumnElement[bool]
) -> dict[int, Record]:
    """Those of them that `holds` or `held` lets through, by number."""
    query = select(records).where(_of_memory(account, memory), records.c.id.in_(rows), which)
    return {row["id"]: to_record(row) for row in await read(connection, records, query)}


async def list_records(
    connection: AsyncConnection,
    account: str,
    memory: str,
    scope: Scope | None,
    strategy: str | None,
    before: int | None,
    limit: int,
    now: datetime,
) -> list[tuple[int, Record]]:
    """Those that hold now, the newest first, each with its number."""
    query = select(records).where(_of_memory(account, memory), holds(now))
    if scope is not None:
        query = query.where(within(scope))
    if strategy is not None:
        query = query.where(records.c.strategy == strategy)
    if before is not None:
        query = query.where(records.c.id < before)
    query = query.order_by(records.c.id.desc()).limit(limit)
    return [(row["id"], to_record(row)) for row in await read(connection, records, query)]


async def list_all(
    connection: AsyncConnection, account: str, memory: str, after: int, limit: int, *, strict: bool = True
) -> list[tuple[int, Record]]:
    """Whether they hold or not, the oldest first, each with its number. Unless `strict`, one that was altered
    has no text."""
    query = select(records).where(_of_memory(account, memory), records.c.id > after)
    rows = await read(connection, records, query.order_by(records.c.id).limit(limit), strict=strict)
    return [(row["id"], to_record(row)) for row in rows]


async def list_quarantined(
    connection: AsyncConnection, account: str, memory: str, after: int, limit: int
) -> list[tuple[int, Record]]:
    """The oldest first, each with its number."""
    aside = records.c.status == RecordStatus.QUARANTINED
    query = select(records).where(_of_memory(account, memory), aside, records.c.id > after)
    rows = await read(connection, records, query.order_by(records.c.id).limit(limit))
    return [(row["id"], to_record(row)) for row in rows]


async def count_of_trust(connection: AsyncConnection, like: Record, since: datetime) -> int:
    """Records of the same namespace and trust that were made lately."""
    query = (
        select(func.count())
        .select_from(records)
        .where(
            _of_memory(like.account, like.memory),
            records.c.namespace == like.namespace,
            records.c.trust == like.trust,
            records.c.created_at > since,
        )
    )
    return (await connection.execute(query)).scalar_one()


async def records_in(
    connection: AsyncConnection,
    account: str,
    memory: str,
    namespaces: Sequence[str],
    before: int | None,
    limit: int,
    now: datetime,
) -> list[tuple[int, Record]]:
    """Those of these namespaces that hold now, the newest first, each with its number."""
    query = select(records).where(
        _of_memory(account, memory), records.c.namespace.in_(namespaces), holds(now)
    )
    if before is not None:
        query = query.where(records.c.id < before)
    query = query.order_by(records.c.id.desc()).limit(limit)
    return [(row["id"], to_record(row)) for row in await read(connection, records, query)]


async def find_like(connection: AsyncConnection, like: Record, now: datetime) -> Record | None:
    """One in the same namespace that says the same."""
    alike = await likeness(connection, like.account, like.memory, like.text)
    same = records.c.namespace == like.namespace, records.c.likeness == alike
    query = select(records).where(_of_memory(like.account, like.memory), *same, holds(now))
    found = await read(connection, records, query.limit(1))
    return to_record(found[0]) if found else None


async def any_namespace(
    connection: AsyncConnection, account: str, memory: str, scope: Scope, now: datetime
) -> str | None:
    """One that lies in the scope and has records."""
    query = select(records.c.namespace).where(_of_memory(account, memory), within(scope), holds(now))
    found: str | None = (await connection.execute(query.limit(1))).scalar()
    return found


async def update_record(
    connection: AsyncConnection, account: str, memory: str, record_id: str, values: Mapping[str, Any]
) -> None:
    place = {"account": account, "memory": memory, "record_id": record_id}
    same = _of_memory(account, memory), records.c.record_id == record_id
    sealed = await seal_values(connection, records, place, values)
    await connection.execute(update(records).where(*same).values(sealed))


async def history(connection: AsyncConnection, account: str, memory: str, record_id: str) -> list[Record]:
    """The record with all that it replaced and all that replaced it, the oldest first; [] without it."""
    found: dict[str, Record] = {}
    asked, asking = set[str](), {record_id}
    while asking:
        near = or_(records.c.record_id.in_(asking), records.c.superseded_by.in_(asking))
        rows = await read(connection, records, select(records).where(_of_memory(account, memory), near))
        asked |= asking
        asking = set()
        for one in map(to_record, rows):
            found[one.record_id] = one
            asking |= {one.record_id, one.superseded_by or one.record_id} - asked
    return sorted(found.values(), key=lambda one: (one.valid_from, one.created_at))


async def replaced(
    connection: AsyncConnection, account: str, memory: str, ids: Iterable[str]
) -> dict[str, list[Record]]:
    """By id, the records that it took the place of and those whose place they took, the latest first."""
    found: dict[str, list[Record]] = {}
    ends = {id_: id_ for id_ in ids}
    asking = list(ends)
    for _ in range(_GENERATIONS):
        if not asking:
            break
        query = select(records).where(_of_memory(account, memory), records.c.superseded_by.in_(asking))
        older = [to_record(row) for row in await read(connection, records, query)]
        asking = [one.record_id for one in older if one.record_id not in ends]
        for one in older:
            end = ends.setdefault(one.record_id, ends[one.superseded_by or ""])
            found.setdefault(end, []).append(one)
    return found


async def delete_records(connection: AsyncConnection, account: str, memory: str, ids: Sequence[str]) -> None:
    await connection.execute(delete(records).where(_of_memory(account, memory), records.c.record_id.in_(ids)))


async def namespaces_of(connection: AsyncConnection, account: str, memory: str) -> list[str]:
    query = select(records.c.namespace).distinct().where(_of_memory(account, memory))
    return list((await connection.execute(query)).scalars())


async def expired_records(
    connection: AsyncConnection, now: datetime, limit: int
) -> dict[tuple[str, str], list[str]]:
    """Ids of some, by account and memory."""
    query = select(records.c.account, records.c.memory, records.c.record_id)
    found: dict[tuple[str, str], list[str]] = {}
    for row in await connection.execute(query.where(records.c.expires_at <= now).limit(limit)):
        found.setdefault((row.account, row.memory), []).append(row.record_id)
    return found


def within(scope: Scope) -> ColumnElement[bool]:
    """What Scope.contains says, in SQL; LIKE would not tell upper from lower case everywhere."""
    namespace = records.c.namespace
    if not scope.subtree:
        return namespace == scope.path
    below = func.substr(namespace, 1, len(scope.base) + 1) == f"{scope.base}/"
    return or_(namespace == scope.base, below) if scope.base else below


def holds(now: datetime) -> ColumnElement[bool]:
    """Neither withdrawn, nor replaced, nor expired."""
    fresh = or_(records.c.expires_at.is_(None), records.c.expires_at > now)
    return and_(records.c.status == RecordStatus.ACTIVE, records.c.valid_to.is_(None), fresh)


def held(moment: datetime) -> ColumnElement[bool]:
    """What was true at a time, whether it was replaced later or not."""
    begun = records.c.valid_from <= moment
    unended = or_(records.c.valid_to.is_(None), records.c.valid_to > moment)
    fresh = or_(records.c.expires_at.is_(None), records.c.expires_at > moment)
    trusted = records.c.status != RecordStatus.QUARANTINED
    return and_(trusted, begun, unended, fresh)


def _of_memory(account: str, memory: str) -> ColumnElement[bool]:
    return and_(records.c.account == account, records.c.memory == memory)


def to_record(row: Row) -> Record:
    members = {name: value for name, value in row.items() if name not in ("id", "likeness")}
    return Record(**{**members, "trust": Trust(row["trust"]), "status": RecordStatus(row["status"])})
