"""The transaction that makes jobs of what was said: for some sessions at a time, in one thread's go.

Taking a session's `learn_at` away locks it: what comes meanwhile waits, and sets it again.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from innkeeper.kernel.call import Document
from innkeeper.services.memory.events.model import SessionKey
from innkeeper.services.memory.events.store import events, of_session, sessions, turns
from innkeeper.services.memory.learning.model import (
    SELF_MANAGED,
    Job,
    JobState,
    Plan,
    Unread,
    idle_at,
    is_due,
    kind_of,
    placed,
    strict_keys,
)
from innkeeper.services.memory.learning.store import job_row, jobs, progress
from innkeeper.services.memory.model import MemoryStatus
from innkeeper.services.memory.sealing.rows import fetch, sealed
from innkeeper.services.memory.store import memories

_KEY = tuple(sessions.primary_key.columns)
_EVENT = ("account", "memory", "actor", "session")
_SESSIONS = 16  # in one transaction: events wait as long as it takes
_TURNS = 200  # of a session, looked at in one go; an event has at most half as many
_MEMORIES = select(memories).where(
    memories.c.id.in_(bindparam("ids", expanding=True)), memories.c.status == MemoryStatus.ACTIVE
)


def make_jobs(connection: Connection, now: datetime, plan: Plan) -> int:
    """Make those that are due; how many sessions were looked at."""
    due = select(*_KEY).where(sessions.c.learn_at <= now).order_by(sessions.c.learn_at).limit(_SESSIONS)
    taken = (
        update(sessions)
        .where(tuple_(*_KEY).in_(due.with_for_update(skip_locked=True)))
        .values(learn_at=None)
        .returning(*_KEY, sessions.c.created_at)
    )
    rows = connection.execute(taken).all()
    known = connection.execute(_MEMORIES, {"ids": [row.memory for row in rows]})
    strategies = {(one.account, one.id): one.strategies for one in known}
    made: list[Job] = []
    for row in rows:
        if present := strategies.get((row.account, row.memory)):
            made += _plan_session(connection, row, present, now, plan)
    if made:
        connection.execute(insert(jobs), sealed(connection, jobs, list(map(job_row, made))))
    return len(rows)


def _plan_session(
    connection: Connection,
    row: Row[Any],
    strategies: Sequence[Document],
    now: datetime,
    plan: Plan,
) -> list[Job]:
    key = SessionKey(row.account, row.memory, row.actor, row.session)
    read = _read_until(connection, key, row.created_at)
    unread, more = _unread(connection, key, min(read.get(one["strategyId"], 0) for one in strategies))
    made: list[Job] = []
    again: list[datetime] = [now] if more else []
    for strategy in strategies:
        id_ = strategy["strategyId"]
        begun = datetime.fromisoformat(strategy["createdAt"])
        new = [one for one in unread if one.position >= read.get(id_, 0)]
        to_learn = [one for one in new if one.written_at >= begun]
        triggers = plan.triggers(strategy)
        if new and (more or not to_learn or is_due(to_learn, triggers, now)):
            made += _jobs(key, strategy, to_learn, now, plan.job_turns)
            _advance(connection, key, id_, row.created_at, new[-1].position + 1)
        elif new:
            again.append(idle_at(to_learn, triggers))
    if again:
        here = of_session(sessions, key)
        connection.execute(update(sessions).where(here).values(learn_at=min(again)))
    return made


def _read_until(connection: Connection, key: SessionKey, made_at: datetime) -> dict[str, int]:
    """By strategy. A session of the same name that is not there any more does not count."""
    same = of_session(progress, key), progress.c.session_made_at == made_at
    found = connection.execute(select(progress.c.strategy, progress.c.read_until).where(*same))
    return {row.strategy: row.read_until for row in found}


def _advance(connection: Connection, key: SessionKey, strategy: str, made_at: datetime, until: int) -> None:
    statement = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(progress)
    place = {"session_made_at": made_at, "read_until": until}
    values = {**_of(key), "strategy": strategy, **place}
    connection.execute(
        statement.values(values).on_conflict_do_update(
            index_elements=list(progress.primary_key.columns), set_=place
        )
    )


def _unread(connection: Connection, key: SessionKey, position: int) -> tuple[list[Unread], bool]:
    """The turns from a position on that may be learned from, up to a bound, whole events only; and whether
    there are more."""
    said = turns.c.position, turns.c.characters
    of_event = (events.c[name] for name in (*_EVENT, "event_id", "created_at", "metadata"))
    columns = select(*said, *of_event, events.c.namespace_variables)
    query = (
        columns.join(events, (events.c.event_id == turns.c.event_id) & (events.c.memory == turns.c.memory))
        .where(of_session(turns, key), turns.c.position >= position, ~events.c.skip_extraction)
        .order_by(turns.c.position)
        .limit(_TURNS)
    )
    found = [
        Unread(
            row["position"],
            row["event_id"],
            row["characters"],
            row["created_at"],
            row["namespace_variables"] or {},
            row["metadata"] or {},
        )
        for row in fetch(connection, events, query, strict=False)
    ]
    if len(found) < _TURNS:
        return found, False
    return [one for one in found if one.event_id != found[-1].event_id], True


def _jobs(
    key: SessionKey, strategy: Document, unread: Sequence[Unread], now: datetime, job_turns: int
) -> list[Job]:
    """One for each namespace and each set of strict metadata that the turns have, and as many as it takes for
    none to be too long."""
    strict = strict_keys(strategy)
    groups: dict[str, list[tuple[str, int]]] = {}
    for event_id, of_event in groupby(unread, lambda one: one.event_id):
        said = list(of_event)
        first = said[0]
        passed = {name: first.metadata[name] for name in strict if name in first.metadata}
        group = json.dumps([first.variables, passed], sort_keys=True)
        groups.setdefault(group, []).append((event_id, len(said)))
    made = []
    for group, members in groups.items():
        variables, passed = json.loads(group)
        parts = _parts(members, job_turns)
        made += [_job(key, strategy, variables, passed, part, now) for part in parts]
    return made


def _parts(members: Sequence[tuple[str, int]], job_turns: int) -> list[list[tuple[str, int]]]:
    parts: list[list[tuple[str, int]]] = [[]]
    for member in members:
        if parts[-1] and sum(count for _, count in parts[-1]) + member[1] > job_turns:
            parts.append([])
        parts[-1].append(member)
    return parts


def _job(
    key: SessionKey,
    strategy: Document,
    variables: dict[str, str],
    metadata: Document,
    members: list[tuple[str, int]],
    now: datetime,
) -> Job:
    kind = kind_of(strategy)
    job = Job(
        id=f"job-{uuid.uuid4()}",
        key=key,
        strategy=strategy["strategyId"],
        kind=kind,
        namespace="",
        metadata=metadata,
        events=members,
        state=JobState.PENDING,
        created_at=now,
        updated_at=now,
        not_before=now,
    )
    return job if kind == SELF_MANAGED else placed(job, strategy["namespaceTemplates"][0], variables)


def _of(key: SessionKey) -> dict[str, str]:
    return {"account": key.account, "memory": key.memory, "actor": key.actor, "session": key.session}
