"""Jobs that learn, as their owner sees them: listed, and begun again when they have failed."""

from datetime import timedelta

from innkeeper.engines.store.client_tokens import claim
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.learning import store
from innkeeper.services.memory.learning.model import Job, JobState
from innkeeper.services.memory.model import Memory, invalid
from innkeeper.services.memory.records.model import Record
from innkeeper.services.memory.records.service import Records
from innkeeper.services.memory.service import Memories

_PIECE = 1000
_EVENTS = 500
_JOBS = Cursor("jobs that learn", int)
_FILTERS = {"strategyId": "strategy", "sessionId": "session", "actorId": "actor", "status": "state"}


class Learning:
    def __init__(
        self, database: Database, memories: Memories, records: Records, kept: timedelta, clock: Clock
    ) -> None:
        """A job that is done stays listed for as long as `kept`."""
        self._database = database
        self._memories = memories
        self._records = records
        self._kept = kept
        self._clock = clock

    async def failed(self, caller: Caller, params: Document, page: PageRequest) -> Page[Job]:
        """The newest first. Raises NotFound."""
        memory = await self._memories.active(caller, params["memoryId"])
        asked = {**params.get("filter", {}), "status": JobState.FAILED}
        return await self.jobs(memory, asked, page)

    async def jobs(self, memory: Memory, asked: Document, page: PageRequest) -> Page[Job]:
        """Those in any state, the newest first. `asked` may have strategyId, actorId, sessionId, status."""
        wanted = {_FILTERS[name]: value for name, value in asked.items()}
        cursor = _JOBS.of(memory.account, memory.id)
        after = cursor.after(page)
        async with self._database.begin() as connection:
            rows = await store.list_jobs(
                connection, memory.account, memory.id, wanted, after and after[0], page.size + 1
            )
        shown = cursor.page(page, rows, key=lambda row: (row[0],))
        return Page([job for _, job in shown.items], shown.next_token)

    async def start(self, caller: Caller, params: Document) -> str:
        """A failed job again, with what else of its session the strategy failed to learn. Raises NotFound;
        InvalidRequest when it has not failed."""
        memory = await self._memories.active(caller, params["memoryId"])
        id_ = params["extractionJob"]["jobId"]
        place = memory.account, memory.id
        now = self._clock.now()
        async with self._database.begin() as connection:
            first = await claim(
                connection, memory.account, "StartMemoryExtractionJob", params, f"{id_}@{now}", now
            )
            if first != f"{id_}@{now}":
                return str(id_)
            found = await store.list_jobs(connection, *place, {"id": id_}, None, 1)
            if not found:
                raise NotFound(f"Memory extraction job {id_} does not exist")
            job = found[0][1]
            if job.state is not JobState.FAILED:
                raise invalid("extractionJob.jobId", f"only a FAILED job can be started; this is {job.state}")
            await store.restart_jobs(connection, job, now)
        return job.id

    async def history(self, memory: Memory, record_id: str) -> list[tuple[Record, list[Turn]]]:
        """The record with all that it replaced and all that replaced it, the oldest first, each with what was
        said in its events. Raises NotFound."""
        found = await self._records.history(memory, record_id)
        event_ids = {event_id for record in found for event_id in record.source_event_ids}
        async with self._database.begin() as connection:
            said = await store.turns_in(connection, memory.account, memory.id, sorted(event_ids)[:_EVENTS])
        return [
            (record, [turn for turn in said if turn.event_id in record.source_event_ids]) for record in found
        ]

    async def prune(self) -> None:
        """Let go of jobs that were done long enough ago."""
        before, gone = self._clock.now() - self._kept, _PIECE
        while gone == _PIECE:
            async with self._database.begin() as connection:
                gone = await store.prune_jobs(connection, before, _PIECE)
