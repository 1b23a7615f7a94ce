"""Doing a job: its two steps, and the records that come of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from innkeeper.engines.extraction.extractor import Action, Extractor, Finding, Kind, Known, Verdict
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.services.memory.learning import lesson as lessons
from innkeeper.services.memory.learning import store
from innkeeper.services.memory.learning.delivery import Delivery
from innkeeper.services.memory.learning.lesson import Lesson
from innkeeper.services.memory.learning.model import (
    EPISODIC,
    REFLECTION,
    SELF_MANAGED,
    SUMMARY,
    Found,
    Job,
    JobState,
    Plan,
    historic_messages,
    reflection_of,
)
from innkeeper.services.memory.model import Memory, MemoryStatus, invalid
from innkeeper.services.memory.namespaces import Scope
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.records.model import Record, RecordStatus, may_replace
from innkeeper.services.memory.records.service import Records
from innkeeper.services.memory.safety.ledger import Entry, Ledger
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.store import find_memory

_BEFORE = 6  # turns that were read already, to understand the new ones by
_FOUND = 50
_NEWEST = 500
_EPISODES = 20
_DONE: Document = {"state": JobState.DONE, "found": None}


class JobLost(Exception):
    """It was erased meanwhile, or its lease ran out and another worker has it."""


class Teacher:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        records: Records,
        recall: Recall,
        vetter: Vetter,
        extractor: Extractor,
        delivery: Delivery,
        plan: Plan,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._records = records
        self._recall = recall
        self._vetter = vetter
        self._extractor = extractor
        self._delivery = delivery
        self._plan = plan
        # Writers that wait for each other here wait shorter than where SQLite makes them try again.
        self._turn = asyncio.Lock()
        self._clock = clock

    async def teach(self, job: Job) -> None:
        """Raises ExtractionError, JobLost; InvalidRequest for what will never work."""
        if job.kind != SELF_MANAGED and not job.namespace:
            raise invalid(
                "namespaceTemplates", job.failure or "the strategy has no namespace for its records"
            )
        lesson = await self._lesson(job)
        if lesson is None:
            await self._move(job, _DONE)
            return
        if job.kind == SELF_MANAGED:
            await self._delivery.deliver(lesson)
            await self._move(job, _DONE)
            return
        if job.found is None:
            job = await self._extract(lesson)
        for number in range(job.applied, len(job.found or ())):
            await self._apply(replace(lesson, job=replace(job, applied=number)))

    async def _lesson(self, job: Job) -> Lesson | None:
        """None when there is nothing left to learn from, or nothing to learn for."""
        key = job.key
        async with self._database.begin() as connection:
            memory = await find_memory(connection, key.account, key.memory)
            if memory is None or memory.status is not MemoryStatus.ACTIVE:
                return None
            strategy = memory.strategy(job.strategy)
            said = await store.turns_of(connection, key, [event_id for event_id, _ in job.events])
            if strategy is None or not said:
                return None
            window = historic_messages(strategy, _BEFORE)
            before = await store.turns_before(connection, key, said[0][0], window)
        lesson = Lesson(memory, strategy, job, said, before)
        if job.kind == SUMMARY:
            present = await self._records.find(memory, lessons.record_id(job))
            return replace(lesson, present=[present.text] if present else [])
        if job.kind == REFLECTION:
            return replace(lesson, present=await self._episodes(lesson))
        return lesson

    async def _episodes(self, lesson: Lesson) -> Sequence[str]:
        """The newest ones of the strategy, at and below where its reflections lie."""
        job = lesson.job
        scope = Scope(job.namespace, subtree=True)
        known = await self._records.newest(lesson.memory, scope, _EPISODES, job.strategy)
        template = lesson.strategy["namespaceTemplates"][0]
        apart = template != reflection_of(lesson.strategy)["namespaceTemplates"][0]
        return [one.text for one in known if not (apart and one.namespace == job.namespace)]

    async def _extract(self, lesson: Lesson) -> Job:
        """The first step: the job with what was found, which is kept from then on."""
        job, reading = lesson.job, lesson.reading()
        findings = await self._extractor.extract(reading)
        found = [one for one in map(lesson.found, findings) if one is not None]
        done = {} if found else _DONE
        values = {"found": store.found_rows(found), "dropped": dict(reading.dropped), "failure": None}
        await self._move(job, {**values, **done})
        return replace(job, found=found)

    async def _apply(self, lesson: Lesson) -> None:
        """The second step, for one finding."""
        job = lesson.job
        found = (job.found or [])[job.applied]
        record = lesson.record(found, self._clock.now())
        record = await self._vetter.learned(lesson.memory, record, lesson.rests_on(found))
        if record.status is RecordStatus.QUARANTINED:
            record, verdict = replace(record, record_id=lessons.finding_id(job)), Verdict(Action.ADD)
        elif job.kind == SUMMARY:
            present, verdict = await self._records.find(lesson.memory, record.record_id), Verdict(Action.ADD)
            record = replace(record, source_event_ids=lessons.sources(found, present))
        else:
            verdict = await self._verdict(lesson, found, record)
        last = job.applied + 1 == len(job.found or ())
        values = {"applied": job.applied + 1, "updated_at": self._clock.now()}
        async with self._turn, self._ledger.entry(job.key.account, job.key.memory, job.id) as entry:
            if not await store.change_job(entry.connection, job, values | (_DONE if last else {})):
                raise JobLost
            if not await store.any_event(entry.connection, job.key, found.event_ids):
                return
            if last and job.kind == EPISODIC and self._plan.asks(lesson.strategy):
                await self._reflect(entry, lesson)
            if verdict.action is Action.SKIP:
                await self._records.confirm(entry, verdict.replaces, found.event_ids)
            else:
                await self._records.learn(entry, record, verdict.replaces)

    async def _reflect(self, entry: Entry, lesson: Lesson) -> None:
        """Later, as a job of its own. It takes a model: nobody said what it finds."""
        first, _ = lesson.job.events[0]
        variables = await store.variables_of(entry.connection, lesson.job.key, first)
        job = lessons.reflection(lesson, variables, entry.now)
        await store.insert_jobs(entry.connection, [job] if job else [])

    async def _verdict(self, lesson: Lesson, found: Found, record: Record) -> Verdict:
        near = {one.record_id: one for one in await self._near(lesson.memory, record)}
        known = [Known(one.record_id, one.text, one.happened_at) for one in near.values()]
        if not known:
            return Verdict(Action.ADD)
        finding = Finding(found.text, found.event_ids, found.at, found.metadata)
        kind = Kind(lesson.job.kind)
        guidance = lesson.guidance("consolidation")
        verdict = await self._extractor.consolidate(kind, finding, known, guidance)
        named = [near[id_] for id_ in verdict.replaces if id_ in near]
        if verdict.action is Action.SKIP:
            return Verdict(Action.SKIP, [one.record_id for one in named])
        return Verdict(
            verdict.action, [one.record_id for one in named if may_replace(record.trust, one.trust)]
        )

    async def _near(self, memory: Memory, record: Record) -> Sequence[Record]:
        """The newest of the namespace, which the index may not have yet, and before them what the search
        finds, when there are many: what a change leaves behind need not share a word with it."""
        scope = Scope(record.namespace, subtree=False)
        newest = await self._records.newest(memory, scope, _NEWEST)
        hits = await self._recall.records(memory, record.text, scope, _FOUND) if len(newest) > _FOUND else ()
        found = (*(hit.item for hit in hits), *newest)
        return list({one.record_id: one for one in found}.values())

    async def _move(self, job: Job, values: Document) -> None:
        async with self._turn, self._database.begin() as connection:
            if not await store.change_job(connection, job, {**values, "updated_at": self._clock.now()}):
                raise JobLost
