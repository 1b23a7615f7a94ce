"""All that learns, put together around an extractor that does as it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from innkeeper.engines.blobs.folder import FolderBlobs
from innkeeper.engines.embedders.minilm import MiniLm
from innkeeper.engines.extraction.extractor import (
    Action,
    ExtractionError,
    Finding,
    Guidance,
    Kind,
    Known,
    Reading,
    Verdict,
)
from innkeeper.engines.search.sqlite.driver import SqliteSearch
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.engines.vetting.rules.driver import RuleVetting
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import SystemClock
from innkeeper.kernel.page import PageRequest
from innkeeper.services.account.service import Accounts
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.erasure import Erasure
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.learning.delivery import Delivery
from innkeeper.services.memory.learning.model import AT_ONCE, Job, Plan
from innkeeper.services.memory.learning.service import Learning
from innkeeper.services.memory.learning.teacher import Teacher
from innkeeper.services.memory.learning.worker import Pace, Worker
from innkeeper.services.memory.model import Limits, Memory
from innkeeper.services.memory.recall.index import Index
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.recall.vectors import Vectors
from innkeeper.services.memory.records.model import Record
from innkeeper.services.memory.records.service import Records
from innkeeper.services.memory.safety.ledger import Ledger
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.sealing.keyring import with_keys
from innkeeper.services.memory.service import Memories
from innkeeper.services.resource_policy.service import ResourcePolicies
from innkeeper.services.tags.service import Tags

ANN = Caller("123456789012", "arn:aws:iam::123456789012:root", "us-west-2")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_PATIENCE_SECONDS = 60
PACE = Pace(
    plan=Plan(AT_ONCE, AT_ONCE, job_turns=50, model="scripted"),
    running=4,
    attempts=2,
    retry_seconds=0.01,
    job_seconds=30,
    lease_seconds=0.5,
)


class Scripted:
    """Finds each turn as it was said; of `topic: fact`, a newer fact replaces the older. `fail` and `stall`
    name the step that does."""

    def __init__(self) -> None:
        self.read: list[Reading] = []
        self.held: list[str] = []
        self.fail = self.stall = ""

    async def extract(self, reading: Reading) -> Sequence[Finding]:
        self.read.append(reading)
        await self._step("extract")
        if reading.kind is Kind.SUMMARY:
            text = " ".join([*reading.present, *(one.text for one in reading.turns)])
            return [Finding(text, [one.id for one in reading.turns], reading.turns[-1].at)]
        reading.dropped["echo"] += 1
        return [Finding(one.text, [one.id], one.at) for one in reading.turns]

    async def consolidate(
        self, kind: Kind, finding: Finding, known: Sequence[Known], guidance: Guidance
    ) -> Verdict:
        self.held.append(finding.text)
        await self._step("consolidate")
        if same := [one.id for one in known if one.text == finding.text]:
            return Verdict(Action.SKIP, same)
        topic = finding.text.partition(":")[0]
        about = [one.id for one in known if one.text.partition(":")[0] == topic]
        return Verdict(Action.UPDATE, about) if about else Verdict(Action.ADD)

    async def _step(self, name: str) -> None:
        if self.stall == name:
            await asyncio.sleep(_PATIENCE_SECONDS)
        if self.fail == name:
            raise ExtractionError("the model made no sense")


class Classroom:
    def __init__(self, database: Database, folder: Path) -> None:
        vault = LocalVault(folder / "master.key")
        database = with_keys(database, vault)
        self.database, self.clock, self._folder = database, SystemClock(), folder
        search, embedder = SqliteSearch(folder / "search"), MiniLm(folder)
        limits = Limits(
            memories=5,
            strategies=6,
            event_bytes=10_000,
            page_bytes=100_000,
            queued_events=100,
            write_seconds=60,
            learn_after_seconds=0.01,
        )
        accounts, bell = Accounts(database, vault, self.clock), Bell()
        self.ledger = Ledger(database, bell, self.clock)
        tags, policies = Tags(database, {}), ResourcePolicies(database, {}, self.clock)
        self.index = Index(database, search, Vectors(database, search, embedder), bell)
        self.erasure = Erasure(database, self.ledger, self.index)
        self.memories = Memories(database, accounts, tags, policies, self.erasure, limits, self.clock)
        self.events = Events(database, self.memories, limits, bell, self.clock)
        self.vetter = Vetter(database, RuleVetting(), self.clock)
        self.records = Records(database, self.ledger, self.vetter, self.memories, self.clock)
        self.recall = Recall(database, search, embedder, self.vetter, self.memories, self.records, self.clock)
        self.learning = Learning(database, self.memories, self.records, timedelta(hours=1), self.clock)
        self.extractor = Scripted()
        self.worker = self.another_worker()

    def another_worker(self, **pace: Any) -> Worker:
        teacher = Teacher(
            self.database,
            self.ledger,
            self.records,
            self.recall,
            self.vetter,
            self.extractor,
            Delivery(Buckets(self.database, FolderBlobs(self._folder), self.clock), {}, self.clock),
            PACE.plan,
            self.clock,
        )
        return Worker(self.database, teacher, replace(PACE, **pace), self.clock)

    async def memory(self, *strategies: Document, **members: Any) -> Memory:
        wanted = {"name": "school", "eventExpiryDuration": 30, "memoryStrategies": strategies or [FACTS]}
        return await self.memories.create(ANN, {**wanted, **members})

    async def say(self, memory: Memory, *texts: str, role: str = "USER", **members: Any) -> str:
        """The id of the event."""
        payload = [{"conversational": {"role": role, "content": {"text": text}}} for text in texts]
        where = {"memoryId": memory.id, "actorId": "ann", "sessionId": "first", "eventTimestamp": NOON}
        return (await self.events.create(ANN, {**where, "payload": payload, **members})).id

    async def jobs(self, memory: Memory, **asked: str) -> Sequence[Job]:
        return (await self.learning.jobs(memory, asked, PageRequest())).items

    async def known(self, memory: Memory, path: str = "/") -> dict[str, Record]:
        """The records that hold now, by their texts."""
        page = await self.records.list(ANN, {"memoryId": memory.id, "namespacePath": path}, PageRequest())
        return {one.text: one for one in page.items}

    async def learned(self, memory: Memory, *texts: str) -> dict[str, Record]:
        """What is known, once it is exactly this."""

        async def is_so() -> bool:
            return set(await self.known(memory)) == set(texts)

        await until(is_so)
        return await self.known(memory)

    async def until_jobs_are(self, memory: Memory, *states: str) -> Sequence[Job]:
        """The newest first."""

        async def is_so() -> bool:
            return [one.state for one in await self.jobs(memory)] == list(states)

        await until(is_so)
        return await self.jobs(memory)


FACTS: Document = {"semanticMemoryStrategy": {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}}


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await is_so():  # noqa: ASYNC110 what becomes so is in a database
            await asyncio.sleep(0.02)
