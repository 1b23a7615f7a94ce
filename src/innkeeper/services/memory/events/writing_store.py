"""The transaction that writes events: all that came at the same time, in one thread's go."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, case, cast, func, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from innkeeper.kernel.errors import InnkeeperError, NotFound
from innkeeper.services.memory.events.model import Event, SessionKey
from innkeeper.services.memory.events.store import branches, events, of_session, sessions, to_event, turns
from innkeeper.services.memory.model import MemoryStatus, invalid
from innkeeper.services.memory.sealing.rows import fetch, sealed
from innkeeper.services.memory.store import memories

# Made once: making a statement takes longer than SQLite takes to carry it out.
_WRITABLE = (
    select(
        memories.c.account,
        memories.c.id,
        memories.c.event_expiry_days,
        (func.length(cast(memories.c.strategies, Text)) > len("[]")).label("learns"),
    )
    .where(memories.c.id.in_(bindparam("ids", expanding=True)), memories.c.status == MemoryStatus.ACTIVE)
    .with_for_update(read=True)
)
_REPEATED = select(events).where(events.c.request.in_(bindparam("requests", expanding=True)))
_INSERT_EVENTS, _INSERT_TURNS = insert(events), insert(turns)


Writable = dict[tuple[str, str], Row[Any]]


def write(
    connection: Connection, wanted: Sequence[Event], now: datetime, learn_at: datetime
) -> list[Event | Exception]:
    """For each the event as it is kept, which for a repeat is the first one; or why it cannot be. Where the
    memory has strategies, they look at the session at `learn_at`, or earlier if they were to already.

    The transaction holds SQLite's write lock from its beginning, and PostgreSQL's on each memory: none is
    deleted meanwhile.
    """
    writable = _writable(connection, {(one.key.account, one.key.memory) for one in wanted})
    known = _requests(connection, [one.request for one in wanted if one.request])
    results: list[Event | Exception] = []
    accepted: list[Event] = []
    for one in wanted:
        if (one.key.account, one.key.memory) not in writable:
            results.append(NotFound(f"Memory {one.key.memory} does not exist"))
        elif one.request in known:
            results.append(known[one.request])
        else:
            result = _accept(connection, one)
            results.append(result)
            if isinstance(result, Event):
                accepted.append(result)
                if result.request:
                    known[result.request] = result
    if accepted:
        _insert(connection, accepted, writable, now, learn_at)
    return results


def _writable(connection: Connection, ids: set[tuple[str, str]]) -> Writable:
    """Those that can be written to: their days of expiry, and whether anything is learned from events."""
    rows = connection.execute(_WRITABLE, {"ids": [id_ for _, id_ in ids]})
    return {(row.account, row.id): row for row in rows}


def _requests(connection: Connection, digests: Sequence[str]) -> dict[str | None, Event]:
    """The events that were written under these tokens before."""
    if not digests:
        return {}
    rows = fetch(connection, events, _REPEATED, {"requests": digests})
    return {row["request"]: to_event(row) for row in rows}


def _accept(connection: Connection, event: Event) -> Event | InnkeeperError:
    """The event, its branch known; a new branch is made."""
    if event.branch is None:
        return event
    try:
        return replace(event, root_event_id=_root(connection, event.key, event.branch, event.root_event_id))
    except InnkeeperError as error:
        return error


def _root(connection: Connection, key: SessionKey, name: str, root_event_id: str | None) -> str:
    query = select(branches.c.root_event_id).where(of_session(branches, key), branches.c.name == name)
    known: str | None = connection.execute(query).scalar()
    if known is not None:
        if root_event_id not in (None, known):
            raise invalid(
                "branch.rootEventId", f"branch {name} begins at event {known}, not at {root_event_id}"
            )
        return known
    if root_event_id is None:
        raise invalid(
            "branch.rootEventId", f"there is no branch {name} yet; name the event that it begins at"
        )
    query = select(events).where(events.c.event_id == root_event_id, of_session(events, key))
    root = connection.execute(query).mappings().first()
    if root is None:
        raise invalid("branch.rootEventId", f"this session has no event {root_event_id}")
    place = {"root_event_id": root_event_id, "root_at": root["happened_at"], "root_row": root["id"]}
    connection.execute(insert(branches).values(**_of(key), name=name, parent=root["branch"], **place))
    return root_event_id


def _insert(
    connection: Connection,
    accepted: Sequence[Event],
    writable: Writable,
    now: datetime,
    learn_at: datetime,
) -> None:
    learned = {
        one.key
        for one in accepted
        if writable[one.key.account, one.key.memory].learns and not one.skip_extraction
    }
    turns_of = {one.id: one.turns() for one in accepted}
    added: Counter[SessionKey] = Counter()
    for event in accepted:
        added[event.key] += len(turns_of[event.id])
    positions = _touch_sessions(connection, added, now, dict.fromkeys(learned, learn_at))
    said: list[dict[str, Any]] = []
    for event in accepted:
        for role, text in turns_of[event.id]:
            position = positions[event.key]
            positions[event.key] += 1
            said.append(
                {
                    **_of(event.key),
                    "event_id": event.id,
                    "position": position,
                    "role": role,
                    "text": text,
                    "characters": len(text),
                    "happened_at": event.happened_at,
                }
            )
    rows = [_row(one, writable, now) for one in accepted]
    connection.execute(_INSERT_EVENTS, sealed(connection, events, rows))
    if said:
        connection.execute(_INSERT_TURNS, sealed(connection, turns, said))


def _touch_sessions(
    connection: Connection,
    added: Mapping[SessionKey, int],
    now: datetime,
    learn_at: Mapping[SessionKey, datetime],
) -> dict[SessionKey, int]:
    """Make them or count their turns up; the position of the first new turn of each."""
    # In one order everywhere, so that two writers do not wait for each other.
    rows = [
        {
            **_of(key),
            "turns": added[key],
            "created_at": now,
            "touched_at": now,
            "learn_at": learn_at.get(key),
        }
        for key in sorted(added, key=lambda one: (one.account, one.memory, one.actor, one.session))
    ]
    after = connection.execute(_touching(connection.dialect.name), rows)
    return {(key := SessionKey(*row[:4])): row.turns - added[key] for row in after}


@cache
def _touching(dialect: str) -> Any:
    """Makes sessions or counts their turns up, and tells how many they have then."""
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(sessions)
    new, old = statement.excluded, sessions.c
    sooner = case(
        (or_(old.learn_at.is_(None), old.learn_at > new.learn_at), new.learn_at), else_=old.learn_at
    )
    counted = statement.on_conflict_do_update(
        index_elements=["account", "memory", "actor", "session"],
        set_={
            "turns": old.turns + new.turns,
            "touched_at": new.touched_at,
            "learn_at": sooner,
        },
    )
    names = "account", "memory", "actor", "session", "turns"
    return counted.returning(*(sessions.c[name] for name in names))


def _row(event: Event, writable: Writable, now: datetime) -> dict[str, Any]:
    days = writable[event.key.account, event.key.memory].event_expiry_days
    return {
        **_of(event.key),
        "event_id": event.id,
        "happened_at": event.happened_at,
        "branch": event.branch,
        "root_event_id": event.root_event_id,
        "payload": event.payload,
        "metadata": event.metadata,
        "request": event.request,
        "listed": event.listed,
        "skip_extraction": event.skip_extraction,
        "namespace_variables": event.namespace_variables,
        "created_at": now,
        "expires_at": now + timedelta(days=days),
    }


def _of(key: SessionKey) -> dict[str, str]:
    return {"account": key.account, "memory": key.memory, "actor": key.actor, "session": key.session}
