"""Tables of events: sessions, branches, events and turns; reading them, and letting them go."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.kernel.call import Document
from innkeeper.services.memory.digests.model import Ending
from innkeeper.services.memory.digests.store import digests
from innkeeper.services.memory.events.branches import Lineage
from innkeeper.services.memory.events.model import Event, SessionKey, Turn
from innkeeper.services.memory.safety.held import HeldKind
from innkeeper.services.memory.safety.held_store import held
from innkeeper.services.memory.sealing.columns import SealedJson, SealedText, bound_by
from innkeeper.services.memory.sealing.rows import Row, read

_RowId = BigInteger().with_variant(Integer, "sqlite")
_ACTOR, _SESSION, _EVENT = String(255), String(100), String(64)
_EVENT_PLACE = ("actor", "session", "event_id")

sessions = Table(
    "memory_sessions",
    metadata,
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", _ACTOR, nullable=False),
    Column("session", _SESSION, nullable=False),
    Column("turns", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("touched_at", Moment, nullable=False, index=True),
    Column("learn_at", Moment, index=True),
    PrimaryKeyConstraint("account", "memory", "actor", "session"),
)

branches = Table(
    "memory_branches",
    metadata,
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", _ACTOR, nullable=False),
    Column("session", _SESSION, nullable=False),
    Column("name", String(100), nullable=False),
    Column("parent", String(100)),
    Column("root_event_id", _EVENT, nullable=False),
    Column("root_at", Moment, nullable=False),
    Column("root_row", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "memory", "actor", "session", "name"),
)

events = Table(
    "memory_events",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", _ACTOR, nullable=False),
    Column("session", _SESSION, nullable=False),
    Column("event_id", _EVENT, nullable=False),
    Column("happened_at", Moment, nullable=False),
    Column("branch", String(100)),
    Column("root_event_id", _EVENT),
    Column("payload", SealedJson, nullable=False),
    Column("metadata", SealedJson, nullable=False),
    Column("request", String(64), unique=True),
    Column("listed", Boolean, nullable=False),
    Column("skip_extraction", Boolean, nullable=False),
    Column("namespace_variables", JSON),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Index(None, "account", "memory", "actor", "session", "happened_at", "id"),
    Index(None, "event_id", "memory"),
    sqlite_autoincrement=True,
    info=bound_by(*_EVENT_PLACE),
)

turns = Table(
    "memory_turns",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("actor", _ACTOR, nullable=False),
    Column("session", _SESSION, nullable=False),
    Column("event_id", _EVENT, nullable=False),
    Column("position", Integer, nullable=False),
    Column("role", String(16), nullable=False),
    Column("text", SealedText, nullable=False),
    Column("characters", Integer, nullable=False),
    Column("happened_at", Moment, nullable=False),
    Index(None, "account", "memory", "actor", "session", "position"),
    Index(None, "event_id", "memory"),
    sqlite_autoincrement=True,
    info=bound_by("actor", "session", "position"),
)

Place = tuple[datetime, int]

_WITHOUT_PAYLOAD = [one for one in events.c if one is not events.c.payload]


def of_session(table: Table, key: SessionKey) -> ColumnElement[bool]:
    return and_(of_actor(table, key.account, key.memory, key.actor), table.c.session == key.session)


def of_actor(table: Table, account: str, memory: str, actor: str) -> ColumnElement[bool]:
    return and_(table.c.account == account, table.c.memory == memory, table.c.actor == actor)


async def find_event(
    connection: AsyncConnection, key: SessionKey, event_id: str, now: datetime
) -> Event | None:
    query = select(events).where(
        events.c.event_id == event_id, of_session(events, key), events.c.listed, events.c.expires_at > now
    )
    found = await read(connection, events, query)
    return to_event(found[0]) if found else None


async def list_events(
    connection: AsyncConnection,
    key: SessionKey,
    lineage: Lineage | None,
    after: Place | None,
    limit: int,
    now: datetime,
    ending: Ending | None = None,
) -> list[tuple[Place, Event]]:
    """The newest first, each with its place; of one line of branches, or of all; without what is in the
    digest that ends there. Their payloads are not read, and empty."""
    query = select(*_WITHOUT_PAYLOAD).where(
        of_session(events, key), events.c.listed, events.c.expires_at > now, _beyond(ending)
    )
    if lineage is not None:
        query = query.where(_on(lineage))
    if after is not None:
        last = literal(after[0], Moment), literal(after[1])
        query = query.where(tuple_(events.c.happened_at, events.c.id) < tuple_(*last))
    query = query.order_by(events.c.happened_at.desc(), events.c.id.desc()).limit(limit)
    rows = await read(connection, events, query)
    return [((row["happened_at"], row["id"]), to_event(row)) for row in rows]


async def payload_sizes(
    connection: AsyncConnection, key: SessionKey, rows: Collection[int]
) -> dict[int, int]:
    """About how many bytes they have, by row, of those that are still there."""
    size = func.length(events.c.payload).label("size")
    query = select(events.c.id, size).where(of_session(events, key), events.c.id.in_(rows))
    return {row.id: row.size for row in await connection.execute(query)}


async def payloads_of(
    connection: AsyncConnection, key: SessionKey, rows: Collection[int]
) -> dict[int, list[Document]]:
    """By row, of those that are still there."""
    place = (events.c[name] for name in ("account", "memory", *_EVENT_PLACE))
    query = select(events.c.id, events.c.payload, *place)
    query = query.where(of_session(events, key), events.c.id.in_(rows))
    return {row["id"]: row["payload"] for row in await read(connection, events, query)}


async def oldest_events(
    connection: AsyncConnection,
    key: SessionKey,
    lineage: Lineage,
    ending: Ending | None,
    until: Place,
    limit: int,
    now: datetime,
) -> list[tuple[Place, Event]]:
    """Those on the line that no digest has, before a place; the oldest first, each with its place, and
    without their payloads."""
    last = literal(until[0], Moment), literal(until[1])
    query = select(*_WITHOUT_PAYLOAD).where(
        of_session(events, key),
        events.c.listed,
        events.c.expires_at > now,
        _on(lineage),
        tuple_(events.c.happened_at, events.c.id) < tuple_(*last),
        _beyond(ending),
    )
    query = query.order_by(events.c.happened_at, events.c.id).limit(limit)
    rows = await read(connection, events, query)
    return [((row["happened_at"], row["id"]), to_event(row)) for row in rows]


async def keeps_events(connection: AsyncConnection, key: SessionKey, rows: Sequence[int]) -> bool:
    """Whether they are all there, and stay until the transaction ends."""
    query = select(events.c.id).where(of_session(events, key), events.c.id.in_(rows))
    return len((await connection.execute(query.with_for_update(read=True))).all()) == len(rows)


def _beyond(ending: Ending | None) -> ColumnElement[bool]:
    """What is not in the digest that ends there."""
    if ending is None:
        return true()
    place = literal(ending.happened_at, Moment), literal(ending.row)
    return or_(tuple_(events.c.happened_at, events.c.id) > tuple_(*place), events.c.id > ending.seen)


async def events_beside(
    connection: AsyncConnection, key: SessionKey, lineage: Lineage, ids: Collection[str], now: datetime
) -> dict[str, int]:
    """Of a memory's events those of other sessions, those that are not listed, and those on the line; how
    many turns each has, by id."""
    same = [turns.c[name] == events.c[name] for name in ("event_id", "account", "memory")]
    count = select(func.count()).select_from(turns).where(*same).scalar_subquery()
    query = select(events.c.event_id, count.label("turns")).where(
        events.c.account == key.account,
        events.c.memory == key.memory,
        events.c.event_id.in_(ids),
        events.c.expires_at > now,
        or_(~of_session(events, key), ~events.c.listed, _on(lineage)),
    )
    return {row.event_id: row.turns for row in await connection.execute(query)}


def _on(lineage: Lineage) -> ColumnElement[bool]:
    """Each branch of the line, up to where the next one leaves it."""
    parts = []
    for stretch in lineage:
        part = events.c.branch.is_(None) if stretch.branch is None else events.c.branch == stretch.branch
        if stretch.until is not None:
            last = literal(stretch.until[0], Moment), literal(stretch.until[1])
            part = and_(part, tuple_(events.c.happened_at, events.c.id) <= tuple_(*last))
        parts.append(part)
    return or_(*parts)


async def turns_by_row(
    connection: AsyncConnection, account: str, memory: str, rows: Sequence[int]
) -> dict[int, Turn]:
    """Those of them that are there, by number."""
    query = select(turns).where(turns.c.account == account, turns.c.memory == memory, turns.c.id.in_(rows))
    return {row["id"]: to_turn(row) for row in await read(connection, turns, query)}


async def find_branches(connection: AsyncConnection, key: SessionKey) -> dict[str, Document]:
    """All branches of a session, by name."""
    rows = (await connection.execute(select(branches).where(of_session(branches, key)))).mappings()
    return {row["name"]: dict(row) for row in rows}


async def delete_event(connection: AsyncConnection, key: SessionKey, event_id: str, now: datetime) -> bool:
    """False when there is none. What was made of it goes too."""
    found = events.c.event_id == event_id, of_session(events, key), events.c.listed
    if not (await connection.execute(delete(events).where(*found))).rowcount:
        return False
    await connection.execute(delete(turns).where(turns.c.event_id == event_id, of_session(turns, key)))
    await connection.execute(delete(digests).where(of_session(digests, key)))
    await connection.execute(delete(held).where(of_session(held, key), held.c.kind == HeldKind.DIGEST))
    await connection.execute(update(sessions).where(of_session(sessions, key)).values(touched_at=now))
    return True


async def list_sessions(
    connection: AsyncConnection,
    account: str,
    memory: str,
    actor: str,
    now: datetime | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[tuple[str, datetime]]:
    """The newest first; with `now`, only those that have events then."""
    query = select(sessions.c.session, sessions.c.created_at).where(
        of_actor(sessions, account, memory, actor)
    )
    if now is not None:
        query = query.where(_has_events(now))
    if after is not None:
        last = literal(after[0], Moment), literal(after[1])
        query = query.where(tuple_(sessions.c.created_at, sessions.c.session) < tuple_(*last))
    query = query.order_by(sessions.c.created_at.desc(), sessions.c.session.desc()).limit(limit)
    return [(row.session, row.created_at) for row in await connection.execute(query)]


def _has_events(now: datetime) -> ColumnElement[bool]:
    same = [events.c[name] == sessions.c[name] for name in ("account", "memory", "actor", "session")]
    return select(events.c.id).where(*same, events.c.listed, events.c.expires_at > now).exists()


async def list_actors(
    connection: AsyncConnection, account: str, memory: str, after: str | None, limit: int
) -> Sequence[str]:
    query = (
        select(sessions.c.actor).distinct().where(sessions.c.account == account, sessions.c.memory == memory)
    )
    if after is not None:
        query = query.where(sessions.c.actor > after)
    query = query.order_by(sessions.c.actor).limit(limit)
    return list((await connection.execute(query)).scalars())


async def prune_events(connection: AsyncConnection, now: datetime, limit: int) -> int:
    """Delete some that have expired, with their turns; how many."""
    query = select(events.c.id, events.c.event_id).where(events.c.expires_at <= now).limit(limit)
    gone = (await connection.execute(query)).all()
    if gone:
        await connection.execute(delete(turns).where(turns.c.event_id.in_([row.event_id for row in gone])))
        await connection.execute(delete(events).where(events.c.id.in_([row.id for row in gone])))
    return len(gone)


async def prune_sessions(connection: AsyncConnection, now: datetime, idle: timedelta) -> None:
    """Delete those, with their branches and digests, that have no events and were not touched for so long."""
    names = "account", "memory", "actor", "session"
    same = [events.c[name] == sessions.c[name] for name in names]
    empty = ~select(events.c.id).where(*same).exists()
    await connection.execute(delete(sessions).where(sessions.c.touched_at < now - idle, empty))
    of_digests = held.c.kind == HeldKind.DIGEST
    for table, which in ((branches, true()), (digests, true()), (held, of_digests)):
        kept = select(sessions.c.session).where(*(sessions.c[name] == table.c[name] for name in names))
        await connection.execute(delete(table).where(which, ~kept.exists()))


def to_turn(row: Row) -> Turn:
    return Turn(row["actor"], row["session"], row["event_id"], row["role"], row["text"], row["happened_at"])


def to_event(row: Row) -> Event:
    return Event(
        key=SessionKey(row["account"], row["memory"], row["actor"], row["session"]),
        id=row["event_id"],
        happened_at=row["happened_at"],
        payload=row.get("payload", []),
        metadata=row["metadata"],
        branch=row["branch"],
        root_event_id=row["root_event_id"],
        request=row["request"],
        listed=row["listed"],
        skip_extraction=row["skip_extraction"],
        namespace_variables=row["namespace_variables"],
    )
