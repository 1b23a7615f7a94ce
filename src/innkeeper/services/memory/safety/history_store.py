"""Tables of the records' history, and of where each memory's chain of changes ends; and their queries."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.services.memory.records.store import records
from innkeeper.services.memory.safety.model import Action, Change
from innkeeper.services.memory.sealing.columns import SealedText, bound_by
from innkeeper.services.memory.sealing.rows import Row, read, seal

_MAC = String(64)

history = Table(
    "memory_record_history",
    metadata,
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("record_id", String(50), nullable=False),
    Column("namespace", String(1024), nullable=False),
    Column("row", BigInteger),
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", String(16), nullable=False),
    Column("before", SealedText),
    Column("was", _MAC),
    Column("became", _MAC),
    Column("mac", _MAC, nullable=False),
    Column("erased", _MAC),
    Column("shortened", _MAC),
    PrimaryKeyConstraint("account", "memory", "sequence"),
    Index(None, "account", "memory", "record_id", "sequence"),
    info=bound_by("record_id", "sequence"),
)

heads = Table(
    "memory_history_heads",
    metadata,
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("mac", _MAC, nullable=False),
    Column("at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "memory"),
)

# Memories of a time before the history, whose records are yet to be taken into it. A migration notes them.
unadopted = Table(
    "memory_unadopted",
    metadata,
    Column("account", String(12), nullable=False),
    Column("memory", String(64), nullable=False),
    PrimaryKeyConstraint("account", "memory"),
)

_BEGINNING = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Head:
    """The last change of a memory."""

    account: str
    memory: str
    sequence: int = 0
    mac: str = ""
    at: datetime = _BEGINNING


async def lock_head(connection: AsyncConnection, account: str, memory: str) -> Head:
    """From here on nobody else changes records of the memory until the transaction ends."""
    statement = upsert(connection, heads).values(asdict(Head(account, memory)))
    kept = statement.on_conflict_do_update(
        index_elements=heads.primary_key.columns, set_={"sequence": heads.c.sequence}
    ).returning(heads)
    return Head(**(await connection.execute(kept)).mappings().one())


async def find_head(connection: AsyncConnection, account: str, memory: str) -> Head:
    query = select(heads).where(heads.c.account == account, heads.c.memory == memory)
    row = (await connection.execute(query)).mappings().first()
    return Head(**row) if row else Head(account, memory)


async def append(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Also moves the head."""
    last = changes[-1]
    rows = await seal(connection, history, [asdict(one) for one in changes])
    await connection.execute(insert(history), rows)
    await connection.execute(
        update(heads)
        .where(heads.c.account == last.account, heads.c.memory == last.memory)
        .values(sequence=last.sequence, mac=last.mac, at=last.at)
    )


async def changes_after(
    connection: AsyncConnection, account: str, memory: str, sequence: int, limit: int, *, strict: bool = True
) -> list[Change]:
    """In their order. Unless `strict`, of one that was altered the state before is missing."""
    query = select(history).where(_of_memory(account, memory), history.c.sequence > sequence)
    query = query.order_by(history.c.sequence).limit(limit)
    return list(map(_change, await read(connection, history, query, strict=strict)))


async def changes_since(
    connection: AsyncConnection, account: str, memory: str, moment: datetime, before: int | None, limit: int
) -> list[Change]:
    """Those later than a moment, the latest first."""
    query = select(history).where(_of_memory(account, memory), history.c.at > moment)
    if before is not None:
        query = query.where(history.c.sequence < before)
    rows = await read(connection, history, query.order_by(history.c.sequence.desc()).limit(limit))
    return list(map(_change, rows))


async def changes_of(
    connection: AsyncConnection, account: str, memory: str, record_id: str, after: int, limit: int
) -> list[Change]:
    """Of one record, in their order."""
    query = select(history).where(
        _of_memory(account, memory), history.c.record_id == record_id, history.c.sequence > after
    )
    rows = await read(connection, history, query.order_by(history.c.sequence).limit(limit))
    return list(map(_change, rows))


async def changed_after(
    connection: AsyncConnection, account: str, memory: str, sequence: int, ids: Sequence[str]
) -> set[str]:
    """Those of the records that have changed later."""
    query = select(history.c.record_id).where(
        _of_memory(account, memory), history.c.sequence > sequence, history.c.record_id.in_(ids)
    )
    return set((await connection.execute(query)).scalars())


async def namespaces_of(connection: AsyncConnection, account: str, memory: str) -> list[str]:
    """Those in which there were records, of which there may be none now."""
    query = select(history.c.namespace).distinct().where(_of_memory(account, memory))
    return list((await connection.execute(query)).scalars())


async def erasable(
    connection: AsyncConnection, account: str, memory: str, namespaces: Sequence[str], limit: int
) -> list[str]:
    """Some of the records that are or ever were in one of the namespaces and have a history still."""
    here = select(records.c.record_id).where(
        records.c.account == account, records.c.memory == memory, records.c.namespace.in_(namespaces)
    )
    of_them = or_(history.c.namespace.in_(namespaces), history.c.record_id.in_(here))
    query = select(history.c.record_id).distinct()
    query = query.where(_of_memory(account, memory), of_them, history.c.erased.is_(None))
    return list((await connection.execute(query.limit(limit))).scalars())


async def macs_of(
    connection: AsyncConnection, account: str, memory: str, ids: Sequence[str]
) -> list[tuple[int, str]]:
    """Sequence and MAC of all changes of records that are not erased yet."""
    query = select(history.c.sequence, history.c.mac).where(
        _of_memory(account, memory), history.c.record_id.in_(ids), history.c.erased.is_(None)
    )
    return [(row.sequence, row.mac) for row in await connection.execute(query)]


async def blank(
    connection: AsyncConnection, account: str, memory: str, proofs: Sequence[tuple[int, str]]
) -> None:
    """Take the state out of changes; each with the proof that it was us."""
    statement = (
        update(history)
        .where(_of_memory(account, memory), history.c.sequence == bindparam("which"))
        .values(before=None, namespace="", erased=bindparam("proof"))
    )
    if proofs:
        told = [{"which": sequence, "proof": proof} for sequence, proof in proofs]
        await connection.execute(statement, told)


async def states_beyond(
    connection: AsyncConnection, account: str, memory: str, record_id: str, kept: int
) -> list[tuple[int, str]]:
    """Sequence and MAC of the updates of a record that have a state still, without the newest of them."""
    query = select(history.c.sequence, history.c.mac).where(
        _of_memory(account, memory),
        history.c.record_id == record_id,
        history.c.action == Action.UPDATE,
        history.c.before.is_not(None),
    )
    rows = await connection.execute(query.order_by(history.c.sequence.desc()))
    return [(row.sequence, row.mac) for row in rows.all()[kept:]]


async def shorten(
    connection: AsyncConnection, account: str, memory: str, proofs: Sequence[tuple[int, str]]
) -> None:
    """Let go of the state before changes; each with the proof that it was us."""
    statement = (
        update(history)
        .where(_of_memory(account, memory), history.c.sequence == bindparam("which"))
        .values(before=None, shortened=bindparam("proof"))
    )
    if proofs:
        told = [{"which": sequence, "proof": proof} for sequence, proof in proofs]
        await connection.execute(statement, told)


async def list_unadopted(connection: AsyncConnection) -> list[tuple[str, str]]:
    """Account and memory."""
    return [(row.account, row.memory) for row in await connection.execute(select(unadopted))]


async def take_unadopted(connection: AsyncConnection, account: str, memory: str) -> bool:
    """False when another has taken it."""
    which = unadopted.c.account == account, unadopted.c.memory == memory
    return bool((await connection.execute(delete(unadopted).where(*which))).rowcount)


async def known_of(connection: AsyncConnection, account: str, memory: str, ids: Sequence[str]) -> set[str]:
    """Those of the records that have a history."""
    query = select(history.c.record_id).distinct()
    query = query.where(_of_memory(account, memory), history.c.record_id.in_(ids))
    return set((await connection.execute(query)).scalars())


async def first_moment(connection: AsyncConnection, account: str, memory: str) -> datetime | None:
    """When the history of a memory begins."""
    query = select(history.c.at).where(_of_memory(account, memory)).order_by(history.c.sequence)
    found: datetime | None = (await connection.execute(query.limit(1))).scalar()
    return found


async def rootless(connection: AsyncConnection, account: str, memory: str) -> list[Change]:
    """Of records whose first change was none of their making, the last one."""
    own = select(
        history.c.record_id,
        func.min(history.c.sequence).label("first"),
        func.max(history.c.sequence).label("last"),
    ).where(_of_memory(account, memory))
    spans = own.group_by(history.c.record_id).subquery()
    begun = history.alias()
    in_memory = and_(begun.c.account == account, begun.c.memory == memory)
    query = (
        select(history)
        .join(spans, history.c.sequence == spans.c.last)
        .join(begun, and_(in_memory, begun.c.sequence == spans.c.first))
        .where(_of_memory(account, memory), begun.c.was.is_not(None))
    )
    return list(map(_change, await read(connection, history, query)))


def _of_memory(account: str, memory: str) -> ColumnElement[bool]:
    return and_(history.c.account == account, history.c.memory == memory)


def _change(row: Row) -> Change:
    return Change(**{**row, "action": Action(row["action"])})
