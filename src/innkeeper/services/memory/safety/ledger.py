"""The ledger: the one way to change records. Each change leaves a link in the memory's history, in the same
transaction."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.records import store
from innkeeper.services.memory.records.model import Record
from innkeeper.services.memory.safety import history_store
from innkeeper.services.memory.safety.chain import Chain
from innkeeper.services.memory.safety.history_store import Head
from innkeeper.services.memory.safety.model import Action, Change, state_of
from innkeeper.services.memory.sealing.keyring import key_of

_TICK = timedelta(microseconds=1)
_PIECE = 200
_STATES = 20
_UPGRADE = "upgrade"


class Entry:
    """One transaction that changes records of one memory. `now` is later than every change before."""

    def __init__(
        self, connection: AsyncConnection, head: Head, now: datetime, by: str, chain: Chain, states: int
    ) -> None:
        self.connection = connection
        self.now = now
        self._states = states
        self._head = head
        self._by = by
        self._chain = chain
        self._rows: dict[str, int] = {}
        self._changes: list[Change] = []

    async def find(self, ids: Iterable[str]) -> dict[str, Record]:
        """Records of the memory, whatever their status, as they are now, by id."""
        head = self._head
        found = await store.rows_of(self.connection, head.account, head.memory, ids)
        self._rows |= {record.record_id: row for row, record in found}
        return {record.record_id: record for _, record in found}

    async def create(self, made: Sequence[Record]) -> None:
        await store.insert_records(self.connection, made)
        for record in made:
            self._note(Action.CREATE, None, record)

    async def update(self, record: Record, values: Mapping[str, Any], action: Action) -> Record:
        """The record, found before, with new values in some columns."""
        after = replace(record, **values)
        head = self._head
        await store.update_record(self.connection, head.account, head.memory, record.record_id, values)
        self._note(action, record, after)
        return after

    async def delete(self, gone: Sequence[Record], action: Action = Action.DELETE) -> None:
        """Records that were found before."""
        ids = [record.record_id for record in gone]
        await store.delete_records(self.connection, self._head.account, self._head.memory, ids)
        for record in gone:
            self._note(action, record, None)

    async def restore(self, row: int | None, record: Record) -> None:
        """One that is not there any more, in its old place."""
        await store.insert_records(self.connection, [record], row)
        self._note(Action.RESTORE, None, record)

    async def forget(self, ids: Sequence[str]) -> int:
        """Erase the history of records, that of this entry too; how many changes."""
        await self.write()
        account, memory = self._head.account, self._head.memory
        macs = await history_store.macs_of(self.connection, account, memory, ids)
        proofs = [(sequence, self._chain.erasure(mac)) for sequence, mac in macs]
        await history_store.blank(self.connection, account, memory, proofs)
        return len(proofs)

    async def shorten(self, record_id: str) -> None:
        """Let go of what a record that is written again and again said long ago. The changes stay."""
        await self.write()
        account, memory = self._head.account, self._head.memory
        old = await history_store.states_beyond(self.connection, account, memory, record_id, self._states)
        proofs = [(sequence, self._chain.shortening(mac)) for sequence, mac in old]
        await history_store.shorten(self.connection, account, memory, proofs)

    async def adopt(self) -> None:
        """Take in the records that were there before the memory had a history, once. What says that it was
        made later was written past the history, and is left for the audit to find."""
        account, memory = self._head.account, self._head.memory
        if not await history_store.take_unadopted(self.connection, account, memory):
            return
        begun = await history_store.first_moment(self.connection, account, memory)
        for change in await history_store.rootless(self.connection, account, memory):
            self._link(
                replace(
                    change,
                    action=Action.ADOPT,
                    at=self.now,
                    by=self._by,
                    before=None,
                    was=change.became,
                    shortened=None,
                )
            )
        after: int | None = 0
        while after is not None:
            rows = await store.list_all(self.connection, account, memory, after, _PIECE)
            ids = [record.record_id for _, record in rows]
            known = await history_store.known_of(self.connection, account, memory, ids)
            for _, record in rows:
                if record.record_id not in known and (begun is None or record.created_at < begun):
                    self._note(Action.ADOPT, None, record)
            await self.write()
            after = rows[-1][0] if len(rows) == _PIECE else None

    async def write(self) -> None:
        """What was noted up to here."""
        if self._changes:
            await history_store.append(self.connection, self._changes)
            self._changes = []

    def _note(self, action: Action, before: Record | None, after: Record | None) -> None:
        place = before or after
        if place is None:
            return
        was, became = (None if record is None else state_of(record) for record in (before, after))
        change = Change(
            account=self._head.account,
            memory=self._head.memory,
            sequence=0,
            record_id=place.record_id,
            namespace=place.namespace,
            row=self._rows.get(place.record_id),
            at=self.now,
            by=self._by,
            action=action,
            before=was,
            was=self._chain.digest(was),
            became=self._chain.digest(became),
            mac="",
        )
        self._link(change)

    def _link(self, change: Change) -> None:
        """As the next of the chain."""
        change = replace(change, sequence=self._head.sequence + 1)
        mac = self._chain.link(change, self._head.mac)
        change = replace(change, mac=mac, erased=change.erased and self._chain.erasure(mac))
        self._changes.append(change)
        self._head = replace(self._head, sequence=change.sequence, mac=change.mac, at=change.at)


class Ledger:
    def __init__(self, database: Database, bell: Bell, clock: Clock, states: int = _STATES) -> None:
        """`states` are kept of a record that is written anew again and again."""
        self._database = database
        self._states = states
        self._bell = bell
        self._clock = clock

    @asynccontextmanager
    async def entry(self, account: str, memory: str, by: str) -> AsyncIterator[Entry]:
        """A transaction, which commits on leaving. One at a time for each memory. Raises NotFound when that
        is gone."""
        async with self._database.begin() as connection:
            chain = await self.chain(connection, account, memory)
            head = await history_store.lock_head(connection, account, memory)
            now = max(self._clock.now(), head.at + _TICK)
            entry = Entry(connection, head, now, by, chain, self._states)
            yield entry
            await entry.write()
        self._bell.ring()

    async def adopt(self) -> None:
        """What the migration noted."""
        async with self._database.begin() as connection:
            noted = await history_store.list_unadopted(connection)
        for account, memory in noted:
            with suppress(NotFound):  # it is being deleted, and this with it
                async with self.entry(account, memory, _UPGRADE) as entry:
                    await entry.adopt()

    @staticmethod
    async def chain(connection: AsyncConnection, account: str, memory: str) -> Chain:
        """Raises NotFound."""
        return Chain((await connection.run_sync(key_of, account, memory)).history)

    async def forget(self, account: str, memory: str, namespaces: Sequence[str]) -> int:
        """Erase the history of all records that are or ever were in these namespaces; how many changes.
        A memory whose key is gone has none any more."""
        forgotten, piece = 0, _PIECE
        with suppress(NotFound):
            while piece == _PIECE:
                async with self.entry(account, memory, "") as entry:
                    ids = await history_store.erasable(entry.connection, account, memory, namespaces, _PIECE)
                    forgotten += await entry.forget(ids)
                piece = len(ids)
        return forgotten
