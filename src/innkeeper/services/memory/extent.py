"""Extents: how much of a memory is meant. All of it, an actor, a session; and some of the records."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.services.memory.model import Memory, invalid
from innkeeper.services.memory.namespaces import Scope, is_of
from innkeeper.services.memory.records.store import namespaces_of, records
from innkeeper.services.memory.safety import history_store


@dataclass(frozen=True, slots=True)
class Extent:
    """Without an actor, everything. The records of an actor are those in the namespaces that the strategies
    make for it alone, and those at and below `path`."""

    memory: Memory
    actor: str | None = None
    session: str | None = None
    path: str | None = None

    def check(self) -> None:
        """Raises InvalidRequest for a session without its actor."""
        if self.actor is None and (self.session or self.path):
            raise invalid("actor", "name the actor whose session or namespaces are meant")

    def of(self, table: Table) -> ColumnElement[bool]:
        """The rows of sessions, branches, events or turns."""
        rows = self._of_memory(table)
        if self.actor is not None:
            rows = and_(rows, table.c.actor == self.actor)
        return rows if self.session is None else and_(rows, table.c.session == self.session)

    async def of_records(self, connection: AsyncConnection) -> ColumnElement[bool]:
        table = records
        if self.actor is None:
            return self._of_memory(table)
        return and_(self._of_memory(table), table.c.namespace.in_(await self.namespaces(connection)))

    async def of_changes(self, connection: AsyncConnection) -> ColumnElement[bool]:
        """The history of those records, without what is erased."""
        table = history_store.history
        kept = and_(self._of_memory(table), table.c.erased.is_(None))
        if self.actor is None:
            return kept
        return and_(kept, table.c.namespace.in_(await self.namespaces(connection)))

    async def namespaces(self, connection: AsyncConnection) -> list[str]:
        """Those that have or once had records, of an actor."""
        memory, actor = self.memory, self.actor or ""
        now = await namespaces_of(connection, memory.account, memory.id)
        once = await history_store.namespaces_of(connection, memory.account, memory.id)
        below = None if self.path is None else Scope(self.path, subtree=True)
        return sorted(
            one
            for one in {*now, *once}
            if is_of(memory.strategies, one, actor, self.session) or (below and below.contains(one))
        )

    def _of_memory(self, table: Table) -> ColumnElement[bool]:
        return and_(table.c.account == self.memory.account, table.c.memory == self.memory.id)
