"""Doing a job: its two steps, and the records that come of them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from innkeeper.engines.extraction.extractor import Action, Extractor, Finding, Kind, Known, Verdict
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.services.memory.learning import lesson as lessons
from innkeeper.services.memory.learning import store
from innkeeper.services.memory.learning.batch import Batch, Decision
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
from innkeeper.services.memory.safety.policy import Policy
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.store import find_memory

_BEFORE = 6  # turns that were read already, to understand the new ones by
_FOUND = 50
_NEWEST = 500
_EPISODES = 20
# Findings of one transaction: others who write wait for it. What a model took long to judge is kept at once.
_BATCH = 16
_BATCH_SECONDS = 1.0
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
        while job.applied < len(job.found or ()):
            lesson = replace(lesson, job=job)
            applied = await self._write(lesson, await self._decided(lesson))
            job = replace(job, applied=job.applied + applied)

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

    async def _decided(self, lesson: Lesson) -> Batch:
        """The second step, for the findings that come next."""
        job, memory = lesson.job, lesson.memory
        policy, begun = await self._vetter.policy(memory), self._clock.monotonic()
        scope = Scope(job.namespace, subtree=False)
        newest = [] if job.kind == SUMMARY else await self._records.newest(memory, scope, _NEWEST)
        batch = Batch(newest, await self._records.replaced(memory, [one.record_id for one in newest]))
        for number in range(job.applied, min(len(job.found or ()), job.applied + _BATCH)):
            await self._decide(replace(lesson, job=replace(job, applied=number)), policy, batch)
            if self._clock.monotonic() - begun > _BATCH_SECONDS:
                break
        return batch

    async def _decide(self, lesson: Lesson, policy: Policy, batch: Batch) -> None:
        job, memory = lesson.job, lesson.memory
        found = (job.found or [])[job.applied]
        record = lesson.record(found, self._clock.now())
        record = await self._vetter.one_of(policy, memory, record, lesson.rests_on(found), batch.made)
        verdict, near = Verdict(Action.ADD), dict[str, Record]()
        if record.status is RecordStatus.QUARANTINED:
            record = replace(record, record_id=lessons.finding_id(job))
        elif job.kind == SUMMARY:
            present = await self._records.find(memory, record.record_id)
            record = replace(record, source_event_ids=lessons.sources(found, present))
        elif near := await self._near(memory, record, batch):
            verdict = await self._verdict(lesson, found, record, near, batch)
        batch.decide(Decision(found, record, verdict), near, self._clock.now())

    async def _write(self, lesson: Lesson, batch: Batch) -> int:
        """How many findings are done with. What was decided after one whose events were erased meanwhile is
        decided anew: it may rest on a record that is not made."""
        job, decisions = lesson.job, batch.decisions
        async with self._turn, self._ledger.entry(job.key.account, job.key.memory, job.id) as entry:
            named = {id_ for one in decisions for id_ in one.found.event_ids}
            left = await store.events_left(entry.connection, job.key, named)
            held = list(takewhile(lambda one: not left.isdisjoint(one.found.event_ids), decisions))
            done = min(len(held) + 1, len(decisions))
            last = job.applied + done == len(job.found or ())
            values = {"applied": job.applied + done, "updated_at": self._clock.now()}
            if not await store.change_job(entry.connection, job, values | (_DONE if last else {})):
                raise JobLost
            if last and held and job.kind == EPISODIC and self._plan.asks(lesson.strategy):
                await self._reflect(entry, lesson)
            for one in held:
                if one.verdict.action is Action.SKIP:
                    await self._records.confirm(entry, one.verdict.replaces, one.found.event_ids)
                else:
                    await self._records.learn(entry, one.record, one.verdict.replaces)
        return done

    async def _reflect(self, entry: Entry, lesson: Lesson) -> None:
        """Later, as a job of its own. It takes a model: nobody said what it finds."""
        first, _ = lesson.job.events[0]
        variables = await store.variables_of(entry.connection, lesson.job.key, first)
        job = lessons.reflection(lesson, variables, entry.now)
        await store.insert_jobs(entry.connection, [job] if job else [])

    async def _verdict(
        self, lesson: Lesson, found: Found, record: Record, near: Mapping[str, Record], batch: Batch
    ) -> Verdict:
        known = [Known(id_, one.text, one.happened_at, batch.before(id_)) for id_, one in near.items()]
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

    async def _near(self, memory: Memory, record: Record, batch: Batch) -> dict[str, Record]:
        """The newest of the namespace, which the index may not have yet, and before them what the search
        finds, when there are many: what a change leaves behind need not share a word with it."""
        scope, many = Scope(record.namespace, subtree=False), len(batch.standing) > _FOUND
        hits = await self._recall.records(memory, record.text, scope, _FOUND) if many else ()
        return batch.near([hit.item for hit in hits])

    async def _move(self, job: Job, values: Document) -> None:
        async with self._turn, self._database.begin() as connection:
            if not await store.change_job(connection, job, {**values, "updated_at": self._clock.now()}):
                raise JobLost
