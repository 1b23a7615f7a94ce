"""What a holder can do with a memory: remember, recall, list, correct, forget; all for one actor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.extent import Extent
from innkeeper.services.memory.model import Memory, MemoryStatus
from innkeeper.services.memory.namespaces import NOTES, Scope, filled
from innkeeper.services.memory.recall.hit import Hit
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.records import store as record_store
from innkeeper.services.memory.records.model import NO_STRATEGY, Record, new_record_id
from innkeeper.services.memory.safety.ledger import Entry, Ledger
from innkeeper.services.memory.safety.model import Action
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.store import find_memory
from innkeeper.services.memory.tool.model import Holder

_NAMESPACES_MOST = 20
_RECORDS = Cursor("records of an actor", int)


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was found: records, and what was said, word for word; each the best first."""

    records: Sequence[Hit[Record]]
    turns: Sequence[Hit[Turn]]


class MemoryTool:
    """What it shows are the records in the namespaces that are the actor's alone: those that the memory's
    strategies make for it, and its notes. All methods raise NotFound when the memory is gone."""

    def __init__(
        self, database: Database, ledger: Ledger, vetter: Vetter, recall: Recall, clock: Clock
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._vetter = vetter
        self._recall = recall

    async def remember(self, holder: Holder, text: str) -> Record:
        """A new note, set aside where it is suspicious; the present one where it says just this."""
        memory = await self._memory(holder)
        now = self._clock.now()
        note = Record(
            account=memory.account,
            memory=memory.id,
            record_id=new_record_id(),
            namespace=filled(NOTES, {"actorId": holder.actor}),
            strategy=NO_STRATEGY,
            text=text,
            metadata={},
            happened_at=now,
            created_at=now,
            updated_at=now,
            valid_from=now,
            trust=holder.trust,
        )
        note = await self._vetter.learned(memory, note, ())
        async with self._ledger.entry(memory.account, memory.id, holder.principal) as entry:
            same = await record_store.find_like(entry.connection, note, entry.now)
            if same is None:
                await entry.create([note])
        return same or note

    async def recall(self, holder: Holder, query: str, limit: int) -> Recalled:
        """Without what seems to steer the agent."""
        memory = await self._memory(holder)
        records: list[Hit[Record]] = []
        for namespace in (await self._namespaces(memory, holder))[:_NAMESPACES_MOST]:
            records += await self._recall.records(memory, query, Scope(namespace, subtree=False), limit)
        records.sort(key=lambda hit: -hit.relevance)
        turns = await self._recall.turns(memory, query, holder.actor, None, limit)
        return Recalled(records[:limit], [hit for hit in turns if not hit.item.flagged])

    async def list(self, holder: Holder, page: PageRequest) -> Page[Record]:
        """The newest first. Raises InvalidRequest for a token of another list."""
        memory = await self._memory(holder)
        cursor = _RECORDS.of(memory.account, memory.id, holder.actor)
        after = cursor.after(page)
        namespaces = await self._namespaces(memory, holder)
        async with self._database.begin() as connection:
            found = await record_store.records_in(
                connection,
                memory.account,
                memory.id,
                namespaces,
                after[0] if after else None,
                page.size + 1,
                self._clock.now(),
            )
        shown = cursor.page(page, found, key=lambda one: (one[0],))
        return Page([record for _, record in shown.items], shown.next_token)

    async def correct(self, holder: Holder, record_id: str, text: str) -> Record:
        """From then on it is the holder's word; what it said before stays in its history. Raises NotFound."""
        memory = await self._memory(holder)
        namespaces = await self._namespaces(memory, holder)
        async with self._database.begin() as connection:
            found = await record_store.find_records(
                connection, memory.account, memory.id, [record_id], self._clock.now()
            )
        wanted = replace(_own(found.get(record_id), record_id, namespaces), text=text, trust=holder.trust)
        after = await self._vetter.learned(memory, replace(wanted, concerns=[]), ())
        async with self._ledger.entry(memory.account, memory.id, holder.principal) as entry:
            record = await self._find(entry, record_id, namespaces)
            names = ("text", "trust", "status", "concerns")
            values = {name: getattr(after, name) for name in names} | {"updated_at": entry.now}
            return await entry.update(record, values, Action.UPDATE)

    async def forget(self, holder: Holder, record_id: str) -> None:
        """Raises NotFound."""
        memory = await self._memory(holder)
        namespaces = await self._namespaces(memory, holder)
        async with self._ledger.entry(memory.account, memory.id, holder.principal) as entry:
            await entry.delete([await self._find(entry, record_id, namespaces)])

    async def _find(self, entry: Entry, record_id: str, namespaces: Sequence[str]) -> Record:
        found = (await entry.find([record_id])).get(record_id)
        return _own(found if found and found.holds(entry.now) else None, record_id, namespaces)

    async def _memory(self, holder: Holder) -> Memory:
        async with self._database.begin() as connection:
            found = await find_memory(connection, holder.account, holder.memory)
        if found is None or found.status is not MemoryStatus.ACTIVE:
            raise NotFound(f"Memory {holder.memory} does not exist")
        return found

    async def _namespaces(self, memory: Memory, holder: Holder) -> Sequence[str]:
        async with self._database.begin() as connection:
            return await Extent(memory, holder.actor).namespaces(connection)


def _own(record: Record | None, record_id: str, namespaces: Sequence[str]) -> Record:
    if record is None or record.namespace not in namespaces:
        raise NotFound(f"Memory record {record_id} does not exist")
    return record
