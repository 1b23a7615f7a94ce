"""Tables of learning: how far each strategy has read each session, and the jobs that read."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import NotFound
from innkeeper.services.memory.events.model import SessionKey, Turn
from innkeeper.services.memory.events.store import events, of_session, sessions, to_turn, turns
from innkeeper.services.memory.learning.model import Found, Job, JobState
from innkeeper.services.memory.records.model import Trust
from innkeeper.services.memory.sealing.columns import SealedJson, SealedText, bound_by
from innkeeper.services.memory.sealing.rows import Row, read, seal, seal_values

progress = Table(
    "memory_learning",
    metadata,
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("strategy", String(100), nullable=False),
    Column("session_made_at", Moment, nullable=False),
    Column("read_until", Integer, nullable=False),
    PrimaryKeyConstraint("account", "memory", "actor", "session", "strategy"),
)

jobs = Table(
    "memory_jobs",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("session", String(100), nullable=False),
    Column("strategy", String(100), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("namespace", String(1024), nullable=False),
    Column("metadata", SealedJson, nullable=False),
    Column("events", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("found", SealedJson),
    Column("applied", Integer, nullable=False),
    Column("dropped", JSON, nullable=False),
    Column("failure", SealedText),
    Column("owner", String(64)),
    Column("leased_until", Moment),
    Index(None, "state", "not_before"),
    Index(None, "account", "memory", "namespace", "state"),
    sqlite_autoincrement=True,
    info=bound_by("id"),
)

SaidTurn = tuple[int, Turn]  # its position in the session, and the turn
_OPEN = (JobState.PENDING, JobState.RUNNING)


async def claim_jobs(
    connection: AsyncConnection,
    owner: str,
    now: datetime,
    lease: timedelta,
    limit: int,
    busy: Collection[str],
) -> list[Job]:
    """Some that can be done now, the oldest first: of each namespace one at a time, in the order in which
    they were made. A job whose worker let its lease run out is done by another, and by the same one only
    when it is not at work on it (`busy` has the ids): a machine that slept wakes with all leases over. One
    that was altered in the database begins anew: it must not stand in the way of all others."""
    older = jobs.alias()
    in_line = select(older.c.number).where(
        older.c.account == jobs.c.account,
        older.c.memory == jobs.c.memory,
        older.c.namespace == jobs.c.namespace,
        older.c.state.in_(_OPEN),
        older.c.number < jobs.c.number,
    )
    free = or_(
        and_(jobs.c.state == JobState.PENDING, jobs.c.not_before <= now),
        and_(jobs.c.state == JobState.RUNNING, jobs.c.leased_until < now, jobs.c.id.not_in(busy)),
    )
    some = select(jobs.c.number).where(free, ~in_line.exists()).order_by(jobs.c.number).limit(limit)
    taken = (
        update(jobs)
        .where(jobs.c.number.in_(some.scalar_subquery()), free)
        .values(state=JobState.RUNNING, owner=owner, leased_until=now + lease, attempts=jobs.c.attempts + 1)
        .returning(jobs)
    )
    rows = await read(connection, jobs, taken, strict=False)
    return [to_job(row) for row in sorted(rows, key=lambda row: row["number"])]


async def first_due(connection: AsyncConnection) -> datetime | None:
    """When a strategy is to look at a session next."""
    found: datetime | None = (await connection.execute(select(func.min(sessions.c.learn_at)))).scalar()
    return found


async def is_any_open(connection: AsyncConnection, now: datetime) -> bool:
    """Whether one may be there to claim; others have to wait while that is asked for in writing."""
    query = select(jobs.c.number).where(jobs.c.state.in_(_OPEN), jobs.c.not_before <= now).limit(1)
    return (await connection.execute(query)).first() is not None


async def renew_leases(connection: AsyncConnection, owner: str, until: datetime) -> None:
    mine = jobs.c.owner == owner, jobs.c.state == JobState.RUNNING
    await connection.execute(update(jobs).where(*mine).values(leased_until=until))


async def release_jobs(connection: AsyncConnection, owner: str, now: datetime) -> None:
    """Back in line, as if they had not been begun."""
    mine = jobs.c.owner == owner, jobs.c.state == JobState.RUNNING
    values = {"state": JobState.PENDING, "attempts": jobs.c.attempts - 1, "not_before": now}
    await connection.execute(update(jobs).where(*mine).values(values))


async def change_job(connection: AsyncConnection, job: Job, values: Document) -> bool:
    """False when it is another worker's by now, or was erased."""
    mine = jobs.c.id == job.id, jobs.c.owner == job.owner, jobs.c.state == JobState.RUNNING
    place = {"account": job.key.account, "memory": job.key.memory, "id": job.id}
    try:
        sealed = await seal_values(connection, jobs, place, values)
    except NotFound:  # erased with all of its memory
        return False
    return bool((await connection.execute(update(jobs).where(*mine).values(sealed))).rowcount)


async def list_jobs(
    connection: AsyncConnection,
    account: str,
    memory: str,
    wanted: Document,
    before: int | None,
    limit: int,
) -> list[tuple[int, Job]]:
    """The newest first, each with its number. `wanted` has values of columns."""
    query = select(jobs).where(jobs.c.account == account, jobs.c.memory == memory)
    for column, value in wanted.items():
        query = query.where(jobs.c[column] == value)
    if before is not None:
        query = query.where(jobs.c.number < before)
    rows = await read(connection, jobs, query.order_by(jobs.c.number.desc()).limit(limit))
    return [(row["number"], to_job(row)) for row in rows]


async def restart_jobs(connection: AsyncConnection, failed: Job, now: datetime) -> None:
    """All of the strategy that failed in the session: what was left unread is read with it."""
    same = of_session(jobs, failed.key), jobs.c.strategy == failed.strategy
    values = {"state": JobState.PENDING, "attempts": 0, "not_before": now, "updated_at": now}
    await connection.execute(update(jobs).where(*same, jobs.c.state == JobState.FAILED).values(values))


async def insert_jobs(connection: AsyncConnection, made: Sequence[Job]) -> None:
    if made:
        rows = await seal(connection, jobs, [job_row(one) for one in made])
        await connection.execute(jobs.insert(), rows)


async def forget_strategies(
    connection: AsyncConnection, account: str, memory: str, strategies: Iterable[str]
) -> None:
    """What they have yet to do, and how far they have read."""
    gone = list(strategies)
    for table in (jobs, progress):
        of_memory = table.c.account == account, table.c.memory == memory
        await connection.execute(delete(table).where(*of_memory, table.c.strategy.in_(gone)))


async def prune_jobs(connection: AsyncConnection, done_before: datetime, limit: int) -> int:
    """Delete some that are done; how many."""
    old = jobs.c.state == JobState.DONE, jobs.c.updated_at < done_before
    some = select(jobs.c.number).where(*old).limit(limit)
    return (await connection.execute(delete(jobs).where(jobs.c.number.in_(some)))).rowcount


async def turns_of(connection: AsyncConnection, key: SessionKey, event_ids: Sequence[str]) -> list[SaidTurn]:
    """The turns of these events, in order, each with its position in the session."""
    query = select(turns).where(of_session(turns, key), turns.c.event_id.in_(event_ids))
    return [_said(row) for row in await read(connection, turns, query.order_by(turns.c.position))]


async def turns_before(
    connection: AsyncConnection, key: SessionKey, position: int, limit: int
) -> list[SaidTurn]:
    """The last ones before a position, in order."""
    query = select(turns).where(of_session(turns, key), turns.c.position < position)
    rows = await read(connection, turns, query.order_by(turns.c.position.desc()).limit(limit))
    return [_said(row) for row in rows][::-1]


async def turns_in(
    connection: AsyncConnection, account: str, memory: str, event_ids: Sequence[str]
) -> list[Turn]:
    """The turns of events of any session, in the order in which they came."""
    mine = turns.c.account == account, turns.c.memory == memory, turns.c.event_id.in_(event_ids)
    return list(map(to_turn, await read(connection, turns, select(turns).where(*mine).order_by(turns.c.id))))


async def variables_of(connection: AsyncConnection, key: SessionKey, event_id: str) -> dict[str, str]:
    """What an event says for the namespaces of what is learned from it."""
    query = select(events.c.namespace_variables).where(of_session(events, key), events.c.event_id == event_id)
    return (await connection.execute(query)).scalar() or {}


async def events_left(connection: AsyncConnection, key: SessionKey, event_ids: Iterable[str]) -> set[str]:
    """Those of them that are still there, with what was said in them."""
    query = select(turns.c.event_id).distinct()
    query = query.where(of_session(turns, key), turns.c.event_id.in_(list(event_ids)))
    return set((await connection.execute(query)).scalars())


def job_row(job: Job) -> dict[str, Any]:
    members = {name: value for name, value in asdict(job).items() if name not in ("key", "found")}
    return {**members, **asdict(job.key), "found": job.found and found_rows(job.found)}


def found_rows(found: Sequence[Found]) -> list[Document]:
    return [{**asdict(one), "at": one.at.isoformat()} for one in found]


def to_job(row: Row) -> Job:
    key = SessionKey(row["account"], row["memory"], row["actor"], row["session"])
    members = {name: row[name] for name in Job.__slots__ if name not in ("key", "found", "events", "state")}
    return Job(
        key=key,
        found=None if row["found"] is None else list(map(_found, row["found"])),
        events=[(event_id, count) for event_id, count in row["events"]],
        state=JobState(row["state"]),
        **{**members, "metadata": row["metadata"] or {}},
    )


def _found(row: Document) -> Found:
    return Found(**{**row, "at": datetime.fromisoformat(row["at"]), "trust": Trust(row["trust"])})


def _said(row: Row) -> SaidTurn:
    return row["position"], to_turn(row)
