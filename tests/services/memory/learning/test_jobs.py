"""Jobs that learn: each thing once, whatever fails or dies in between, and nothing of what was erased."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from innkeeper.engines.extraction.extractor import Verdict
from innkeeper.kernel.errors import InvalidRequest, NotFound
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.extent import Extent
from innkeeper.services.memory.learning.model import NEVER, Plan
from innkeeper.services.memory.records.model import Trust
from tests.services.memory.learning.classroom import ANN, FACTS, NOON, Classroom, Scripted, until

SUMS = {"summaryMemoryStrategy": {"name": "sums", "namespaceTemplates": ["/sums/{actorId}/{sessionId}/"]}}


async def test_what_is_said_is_learned_once_with_its_sources(classroom: Classroom) -> None:
    memory = await classroom.memory()
    first = await classroom.say(memory, "home: Bonn", "pet: cat")
    await classroom.say(memory, "not for you", extractionMode="SKIP")
    await classroom.learned(memory, "home: Bonn", "pet: cat")
    again = await classroom.say(memory, "pet: cat", role="TOOL")

    async def is_confirmed() -> bool:
        return (await classroom.known(memory))["pet: cat"].source_event_ids == [first, again]

    await until(is_confirmed)
    known = await classroom.known(memory)
    assert (known["home: Bonn"].namespace, known["home: Bonn"].trust) == ("/facts/ann/", Trust.USER)
    assert [one.dropped for one in await classroom.jobs(memory, status="DONE")] == [{"echo": 1}] * 2
    last = classroom.extractor.read[-1]
    assert [one.text for one in last.turns] == ["pet: cat"]
    assert [one.text for one in last.before] == ["home: Bonn", "pet: cat", "not for you"]


async def test_a_newer_fact_retires_an_older_one_and_keeps_it(classroom: Classroom) -> None:
    memory = await classroom.memory()
    for day, home in enumerate(("Bonn", "Oslo", "Rome")):
        await classroom.say(memory, f"home: {home}", eventTimestamp=NOON + timedelta(days=day))
        await classroom.learned(memory, f"home: {home}")
    await classroom.say(memory, "home: Kiel", role="TOOL", eventTimestamp=NOON + timedelta(days=9))
    known = await classroom.learned(memory, "home: Rome", "home: Kiel")
    assert known["home: Kiel"].trust is Trust.TOOL, "a tool's word takes nobody else's place"
    await classroom.say(memory, "home: Ulm", eventTimestamp=NOON - timedelta(days=9))
    await classroom.until_jobs_are(memory, *["DONE"] * 5)
    assert "home: Ulm" not in await classroom.known(memory), "what was true before is history already"
    history = await classroom.records.history(memory, known["home: Rome"].record_id)
    assert [one.text for one in history] == ["home: Ulm", "home: Bonn", "home: Oslo", "home: Rome"]
    assert [one.valid_to for one in history][1:] == [NOON + timedelta(days=1), NOON + timedelta(days=2), None]


async def test_what_one_reading_finds_is_held_against_itself(classroom: Classroom) -> None:
    """Findings of one transaction; one of them rests on what was deleted before it was written."""
    memory, extractor = await classroom.memory(), classroom.extractor
    await classroom.worker.close()
    gone = await classroom.say(memory, "pet: cat")
    many = [f"{number}: x" for number in range(20)]
    kept = await classroom.say(memory, "pet: cat", "home: Bonn", *many, "home: Oslo", "0: x")

    async def consolidate(*asked: Any) -> Verdict:
        if asked[1].text == "home: Bonn":
            named = {"memoryId": memory.id, "actorId": "ann", "sessionId": "first", "eventId": gone}
            with suppress(NotFound):
                await classroom.events.delete(ANN, named)
        return await Scripted.consolidate(extractor, *asked)

    extractor.consolidate = consolidate  # type: ignore[method-assign, assignment]
    classroom.worker = classroom.another_worker()
    classroom.worker.open()
    (job,) = await classroom.until_jobs_are(memory, "DONE")
    known = await classroom.learned(memory, "pet: cat", *many, "home: Oslo")
    assert (job.applied, known["pet: cat"].source_event_ids) == (25, [kept])
    history = await classroom.records.history(memory, known["home: Oslo"].record_id)
    assert [one.text for one in history] == ["home: Bonn", "home: Oslo"]


async def test_a_session_has_one_summary(classroom: Classroom) -> None:
    memory = await classroom.memory(SUMS)
    first = await classroom.say(memory, "Hello.")
    made = await classroom.learned(memory, "Hello.")
    second = await classroom.say(memory, "Goodbye.")
    after = await classroom.learned(memory, "Hello. Goodbye.")
    assert made["Hello."].record_id == after["Hello. Goodbye."].record_id
    assert after["Hello. Goodbye."].source_event_ids == [first, second]


async def test_work_goes_on_where_it_stopped(classroom: Classroom) -> None:
    """The worker dies between the steps; the next one does not read again, and keeps each finding once."""
    memory = await classroom.memory()
    classroom.extractor.stall = "consolidate"
    await classroom.say(memory, "home: Bonn")
    await classroom.say(memory, "home: Oslo", eventTimestamp=NOON + timedelta(days=1), sessionId="second")

    async def has_read() -> bool:
        return any(one.found for one in await classroom.jobs(memory))

    await classroom.learned(memory, "home: Bonn")
    await until(has_read)
    await until(lambda: asyncio.sleep(0, "home: Oslo" in classroom.extractor.held))
    dead = classroom.worker
    dead._worker and dead._worker.cancel()
    classroom.extractor.stall = ""
    classroom.worker = classroom.another_worker()
    classroom.worker.open()
    await classroom.learned(memory, "home: Oslo")
    assert len(classroom.extractor.read) == 2
    await dead.close()
    assert [one.state for one in await classroom.jobs(memory)] == ["DONE", "DONE"]


async def test_a_job_is_not_begun_again_by_the_worker_that_is_at_work_on_it(classroom: Classroom) -> None:
    """Its leases are over at once, as all are when a machine wakes that slept."""
    await classroom.worker.close()
    classroom.worker = classroom.another_worker(lease_seconds=0)
    classroom.worker.open()
    memory, classroom.extractor.stall = await classroom.memory(), "extract"
    read = classroom.extractor.read
    await classroom.say(memory, "pet: cat")
    await until(lambda: asyncio.sleep(0, "cat" in str(read)))
    await classroom.say(memory, "pet: dog", actorId="bob")
    await until(lambda: asyncio.sleep(0, "dog" in str(read)))
    assert len(read) == 2


async def test_a_job_that_fails_is_listed_and_can_be_started(classroom: Classroom) -> None:
    memory = await classroom.memory()
    classroom.extractor.fail = "extract"
    event = await classroom.say(memory, "home: Bonn")
    (failed,) = await classroom.until_jobs_are(memory, "FAILED")
    assert (failed.failure, failed.events, failed.attempts) == ("the model made no sense", [(event, 1)], 2)
    ask = {"memoryId": memory.id, "extractionJob": {"jobId": failed.id}}
    nobody = await classroom.learning.failed(
        ANN, {"memoryId": memory.id, "filter": {"actorId": "bob"}}, PageRequest()
    )
    assert not nobody.items
    classroom.extractor.fail = ""
    assert await classroom.learning.start(ANN, ask) == failed.id
    await classroom.learned(memory, "home: Bonn")
    with pytest.raises(InvalidRequest, match="only a FAILED job"):
        await classroom.learning.start(ANN, ask)
    with pytest.raises(NotFound):
        await classroom.learning.start(ANN, {**ask, "extractionJob": {"jobId": "job-none"}})


async def test_nothing_is_learned_from_what_was_erased(classroom: Classroom) -> None:
    memory = await classroom.memory()
    classroom.extractor.stall = "consolidate"
    await classroom.say(memory, "home: Bonn")
    await classroom.learned(memory, "home: Bonn")
    await classroom.say(memory, "home: Oslo")
    await until(lambda: asyncio.sleep(0, "home: Oslo" in classroom.extractor.held))
    assert (await classroom.erasure.erase(Extent(memory, "ann"))).records == 1
    assert await classroom.jobs(memory) == []
    classroom.extractor.stall = ""
    await classroom.say(memory, "home: Rome")
    await classroom.learned(memory, "home: Rome")
    (strategy,) = (one["strategyId"] for one in memory.strategies)
    change = {"deleteMemoryStrategies": [{"memoryStrategyId": strategy}]}
    await classroom.memories.update(ANN, {"memoryId": memory.id, "memoryStrategies": change})
    assert await classroom.jobs(memory) == []


async def test_each_namespace_has_its_job(classroom: Classroom) -> None:
    template = {"name": "shared", "namespaceTemplates": ["/{tenant}/{actorId}/"]}
    memory = await classroom.memory({"semanticMemoryStrategy": template}, namespaceKeys=[{"key": "tenant"}])
    for tenant in ("red", "blue"):
        variables = {"namespaceVariables": {"tenant": tenant}}
        await classroom.say(memory, f"home: {tenant}", extractionConfig=variables)
    known = await classroom.learned(memory, "home: red", "home: blue")
    assert {one.namespace for one in known.values()} == {"/red/ann/", "/blue/ann/"}
    await classroom.say(memory, "home: nowhere")
    (failed, *_) = await classroom.until_jobs_are(memory, "FAILED", "DONE", "DONE")
    assert "needs tenant, which the event does not give" in (failed.failure or "")


async def test_a_strategy_waits_for_its_triggers(classroom: Classroom) -> None:
    usual = replace(NEVER, messages=3, tokens=100)
    await classroom.worker.close()
    classroom.worker = classroom.another_worker(plan=Plan(usual, usual, job_turns=2, model="scripted"))
    classroom.worker.open()
    memory = await classroom.memory(FACTS)
    await classroom.say(memory, "a: 1", "b: 2")
    await classroom.say(memory, "x" * 400, sessionId="second")
    await classroom.learned(memory, "x" * 400)
    await classroom.say(memory, "c: 3")
    await classroom.learned(memory, "a: 1", "b: 2", "c: 3", "x" * 400)
    assert sorted(len(one.turns) for one in classroom.extractor.read) == [1, 1, 2]
