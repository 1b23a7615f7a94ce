"""The stream of what changes among a memory's records, for a subscriber that keeps its place in it.

The history of records is the log that it is read from: every change is in it, in order, from the same
transaction. A subscriber that asks again from its last place misses nothing, and may see a change twice.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.records import store
from innkeeper.services.memory.records.model import Record, RecordStatus
from innkeeper.services.memory.safety.history_store import changes_after
from innkeeper.services.memory.safety.model import Action, Change

FULL_CONTENT = "FULL_CONTENT"
_LOOK_SECONDS = 0.25
_TYPES = {
    Action.CREATE: "MemoryRecordCreated",
    Action.RESTORE: "MemoryRecordCreated",
    Action.RELEASE: "MemoryRecordCreated",
    Action.UPDATE: "MemoryRecordUpdated",
}
_GONE = "MemoryRecordDeleted"


class Stream:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def after(
        self, memory: Memory, place: int, limit: int, wait: timedelta
    ) -> tuple[int, list[Document]]:
        """The changes after a place, in their order, and the place after them; waits so long for the first
        one. The events are AgentCore's; what lies in quarantine is not told."""
        until = self._clock.monotonic() + wait.total_seconds()
        while not (found := await self._changes(memory, place, limit)):
            left = until - self._clock.monotonic()
            if left <= 0:
                return place, []
            await asyncio.sleep(min(_LOOK_SECONDS, left))
        records = await self._records(memory, found)
        full = level(memory) == FULL_CONTENT
        events = [
            _event(one, record, full)
            for one in found
            if one.action is not Action.ADOPT
            and (
                (record := records.get(one.record_id)) is None
                or record.status is not RecordStatus.QUARANTINED
            )
        ]
        return found[-1].sequence, events

    async def _changes(self, memory: Memory, place: int, limit: int) -> list[Change]:
        async with self._database.begin() as connection:
            return await changes_after(connection, memory.account, memory.id, place, limit)

    async def _records(self, memory: Memory, changes: Sequence[Change]) -> dict[str, Record]:
        """As they are now, by id."""
        ids = {one.record_id for one in changes}
        async with self._database.begin() as connection:
            found = await store.rows_of(connection, memory.account, memory.id, ids)
        return {record.record_id: record for _, record in found}


def level(memory: Memory) -> str:
    """How much the memory's owner wants in the events: METADATA_ONLY or FULL_CONTENT."""
    for resource in memory.configuration.get("streamDeliveryResources", {}).get("resources", ()):
        for content in resource.get("kinesis", {}).get("contentConfigurations", ()):
            return str(content.get("level", "METADATA_ONLY"))
    return "METADATA_ONLY"


def _event(change: Change, record: Record | None, full: bool) -> Document:
    """Of a record that is there no more, what the change itself says of it."""
    event: Document = {
        "eventType": _TYPES.get(change.action, _GONE),
        "eventTime": change.at.isoformat(),
        "memoryId": change.memory,
        "memoryRecordId": change.record_id,
    }
    if change.namespace:
        event["namespaces"] = [change.namespace]
    if record is not None and event["eventType"] != _GONE:
        event["memoryStrategyId"] = record.strategy
        event["createdAt"] = record.created_at.isoformat()
        event["metadata"] = record.metadata
        if full:
            event["memoryRecordText"] = record.text
    return {"sequence": change.sequence, "memoryStreamEvent": event}
