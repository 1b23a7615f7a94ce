"""The table of hours of use, and its queries."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    func,
    select,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.services.usage.model import Filter, Group, HourOfUse, Line, Report, Used, hour_of

usage_hours = Table(
    "usage_hours",
    metadata,
    Column("account", String(12), nullable=False),
    Column("id", String(64), nullable=False),
    Column("hour", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("agent", String(128), nullable=False),
    Column("session", String(256), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("memory_mib_seconds", Float, nullable=False),
    Column("memory_peak_mib", Float, nullable=False),
    PrimaryKeyConstraint("account", "id", "hour"),
    Index(None, "account", "hour"),
    Index(None, "hour"),
)

_MEASURES = ("seconds", "cpu_seconds", "memory_mib_seconds", "memory_peak_mib")
_TOTAL = "total_"
_GROUPED = {
    Group.SESSION: ("kind", "agent", "session"),
    Group.AGENT: ("kind", "agent"),
    Group.KIND: ("kind",),
}


async def put(connection: AsyncConnection, hours: Sequence[HourOfUse]) -> None:
    """Insert them, or write over what these hours said before."""
    statement = upsert(connection, usage_hours)
    changed = {name: statement.excluded[name] for name in _MEASURES}
    statement = statement.on_conflict_do_update(index_elements=["account", "id", "hour"], set_=changed)
    await connection.execute(statement, [_row(one) for one in hours])


async def report(connection: AsyncConnection, which: Filter, group: Group, limit: int) -> Report:
    """All of it is of one moment."""
    names = _GROUPED[group]
    columns = [usage_hours.c[name] for name in names]
    latest = func.max(usage_hours.c.hour).desc()
    query = select(*columns, *_sums(), *_totals()).where(*_conditions(which)).group_by(*columns)
    found = await connection.execute(query.order_by(latest, *columns).limit(limit))
    rows = found.mappings().all()
    lines = [Line({name: row[name] for name in names}, _used(row)) for row in rows]
    return Report(lines, _used(rows[0], _TOTAL) if rows else Used())


async def delete_before(connection: AsyncConnection, moment: datetime) -> None:
    await connection.execute(delete(usage_hours).where(usage_hours.c.hour < moment))


def _row(one: HourOfUse) -> dict[str, Any]:
    return {**asdict(one.subject), "hour": one.hour, **asdict(one.used)}


def _sums() -> list[ColumnElement[Any]]:
    """Of a line."""
    *summed, peak = (usage_hours.c[name] for name in _MEASURES)
    return [*(func.sum(column).label(column.name) for column in summed), func.max(peak).label(peak.name)]


def _totals() -> list[ColumnElement[Any]]:
    """The same in each line: of all lines, also of those beyond the limit."""
    *summed, peak = (usage_hours.c[name] for name in _MEASURES)
    totals = [*(func.sum(func.sum(column)) for column in summed), func.max(func.max(peak))]
    return [each.over().label(_TOTAL + name) for each, name in zip(totals, _MEASURES, strict=True)]


def _conditions(which: Filter) -> list[ColumnElement[bool]]:
    columns = usage_hours.c
    conditions = [columns.account == which.account]
    for column, value in ((columns.kind, which.kind), (columns.agent, which.agent)):
        if value is not None:
            conditions.append(column == value)
    if which.session is not None:
        conditions.append(columns.session == which.session)
    if which.since is not None:
        conditions.append(columns.hour >= hour_of(which.since))
    if which.until is not None:
        conditions.append(columns.hour < which.until)
    return conditions


def _used(row: RowMapping, prefix: str = "") -> Used:
    return Used(**{name: row[prefix + name] for name in _MEASURES})
