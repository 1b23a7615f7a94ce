"""Erasure: a session, an actor, or a memory's whole content, gone from the tables and from the files."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_, delete, select, tuple_

from innkeeper.engines.store.database import Database
from innkeeper.services.memory import record_store
from innkeeper.services.memory.event_store import branches, events, of_actor, sessions, turns
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.namespaces import Scope, is_of
from innkeeper.services.memory.record_store import records

_PIECE = 2000


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many of each were deleted, and the namespaces in which the records lay."""

    sessions: int
    events: int
    turns: int
    records: int
    namespaces: tuple[str, ...]


class Erasure:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def person(self, memory: Memory, actor: str, session: str | None, path: str | None) -> Receipt:
        """All of an actor, or of one of its sessions: events, turns, branches, and the records in the
        namespaces that the strategies make for it alone, and in those at and below `path`."""
        found = await self._namespaces(memory, actor, session, path)

        def of_person(table: Table) -> ColumnElement[bool]:
            whole = of_actor(table, memory.account, memory.id, actor)
            return whole if session is None else and_(whole, table.c.session == session)

        of_them = and_(_of_memory(records, memory), records.c.namespace.in_(found))
        await self._delete(branches, of_person(branches))
        receipt = Receipt(
            sessions=await self._delete(sessions, of_person(sessions)),
            events=await self._delete(events, of_person(events)),
            turns=await self._delete(turns, of_person(turns)),
            records=await self._delete(records, of_them),
            namespaces=tuple(found),
        )
        await self._database.scrub()
        return receipt

    async def empty(self, memory: Memory) -> None:
        """Everything in a memory."""
        for table in (records, turns, events, branches, sessions):
            await self._delete(table, _of_memory(table, memory))
        await self._database.scrub()

    async def _namespaces(
        self, memory: Memory, actor: str, session: str | None, path: str | None
    ) -> list[str]:
        async with self._database.begin() as connection:
            every = await record_store.namespaces_of(connection, memory.account, memory.id)
        below = None if path is None else Scope(path, subtree=True)
        return sorted(
            one
            for one in every
            if is_of(memory.strategies, one, actor, session) or (below and below.contains(one))
        )

    async def _delete(self, table: Table, which: ColumnElement[bool]) -> int:
        """In pieces, so that others can write in between."""
        key = tuple_(*table.primary_key.columns)
        deleted, piece = 0, _PIECE
        while piece == _PIECE:
            some = select(*table.primary_key.columns).where(which).limit(_PIECE)
            async with self._database.begin() as connection:
                piece = (await connection.execute(delete(table).where(key.in_(some)))).rowcount
            deleted += piece
        return deleted


def _of_memory(table: Table, memory: Memory) -> ColumnElement[bool]:
    return and_(table.c.account == memory.account, table.c.memory == memory.id)
