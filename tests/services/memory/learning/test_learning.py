"""What a person says is known afterwards, without a language model, and is traced back to the words."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import RunningServer
from tests.services.memory.remembering import NOON, Remembering
from tests.stories.terminal import Terminal

_PATIENCE_SECONDS = 90
_HOME = {"semanticMemoryStrategy": {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}}
_LIKES = {"userPreferenceMemoryStrategy": {"name": "likes", "namespaceTemplates": ["/likes/{actorId}/"]}}
_SUMS = {"summaryMemoryStrategy": {"name": "sums", "namespaceTemplates": ["/sums/{actorId}/{sessionId}/"]}}
_SHARED = {"semanticMemoryStrategy": {"name": "shared", "namespaceTemplates": ["/{tenant}/{actorId}/"]}}
_BERLIN = "I moved to Berlin in March 2024 and work as a nurse."
_BOAT = "I bought a boat in 2024 and named it Clara."
_DOG = "I have a dog called Rex."
_TEA = "I prefer tea over coffee."


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (this := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return this


def test_what_was_said_is_found_as_a_fact_and_where_it_comes_from(
    remembering: Remembering, server: RunningServer, tmp_path: Path
) -> None:
    memory = remembering.create(memoryStrategies=[_HOME, _LIKES, _SUMS])
    said = remembering.say(memory, _BERLIN)
    remembering.say(memory, _TEA, eventTimestamp=NOON + timedelta(days=1))
    remembering.say(memory, "I never told you that I am a spy for Ruritania.", extractionMode="SKIP")
    papers = [
        {"conversational": {"role": "USER", "content": {"text": _BOAT}}},
        {"json": {"content": {"messages": [{"role": "user", "content": _DOG}]}}},
        {"json": {"content": {"event": "viewed", "item": {"name": "harpsichord"}}}},
    ]
    source = {"inline": {"payload": papers}}
    remembering.data.ingest_data(
        memoryId=memory, actorId="ann", sessionId="papers", contentTimestamp=NOON, source=source
    )

    def find(query: str, path: str) -> list[Any]:
        criteria = {"searchQuery": query}
        answer = remembering.data.retrieve_memory_records(
            memoryId=memory, namespacePath=path, searchCriteria=criteria
        )
        return list(answer["memoryRecordSummaries"])

    fact = until(lambda: [one for one in find("Berlin", "/facts/ann") if one["content"]["text"] == _BERLIN])[
        0
    ]
    until(lambda: {_TEA, _BOAT, _DOG} <= set(remembering.noted(memory, namespacePath="/facts/ann")))
    until(lambda: remembering.noted(memory, namespacePath="/likes/ann") == [_TEA])
    (digest,) = until(lambda: remembering.noted(memory, namespacePath="/sums/ann/first"))
    assert "Berlin" in digest
    known = remembering.noted(memory, namespacePath="/")
    assert not any("Ruritania" in text for text in known)
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    name = remembering.get(memory)["name"]
    shown = user.json("innkeeper", "memory", "history", name, fact["memoryRecordId"], "--json")["records"]
    assert [one["text"] for one in shown] == [_BERLIN]
    assert [(one["eventId"], one["role"], one["text"]) for one in shown[0]["sources"]] == [
        (said["eventId"], "USER", _BERLIN)
    ]
    assert "2026-01-01 ann, first" in user.ok("innkeeper", "memory", "history", name, fact["memoryRecordId"])
    turns = until(lambda: user.json("innkeeper", "memory", "search", name, "harpsichord", "--json")["turns"])
    assert (turns[0]["role"], turns[0]["text"]) == ("TOOL", "event: viewed\nitem.name: harpsichord")
    wanted = ["innkeeper", "memory", "search", name, "tea", "--records", "--namespace-path", "/facts"]
    until(lambda: _TEA in user.ok(*wanted))
    assert _TEA not in user.ok(*wanted, "--as-of", "2026-01-01T23:00:00Z"), "she had not said it by then"
    assert "--records" in user.refused("innkeeper", "memory", "search", name, "tea", "--as-of", "2026-01-01")
    assert "1 kept" in user.ok("innkeeper", "memory", "jobs", name, "--status", "done")


def test_variables_of_namespaces_are_checked(remembering: Remembering, server: RunningServer) -> None:
    keys = [
        {"key": "tenant", "validation": {"allowedValues": ["red", "blue"]}},
        {"key": "team", "validation": {"regexPattern": "[a-z]+-[0-9]+"}},
    ]
    memory = remembering.create(memoryStrategies=[_SHARED], namespaceKeys=keys)
    for values, problem in (
        ({"tenant": "green"}, "tenant may be red, blue, not green"),
        ({"team": "ops"}, "team must match"),
        ({"town": "bonn"}, "no namespace key town; it has: tenant, team"),
    ):
        with pytest.raises(ClientError, match=problem):
            remembering.say(memory, _TEA, extractionConfig={"namespaceVariables": values})
    for pattern in ("(a+)+b", "a*b*c*d*", "(?=a)", "[a"):
        with pytest.raises(ClientError, match="ValidationException"):
            remembering.create(namespaceKeys=[{"key": "team", "validation": {"regexPattern": pattern}}])
    remembering.say(memory, _TEA, extractionConfig={"namespaceVariables": {"tenant": "red", "team": "ops-1"}})
    until(lambda: remembering.noted(memory, namespacePath="/red/ann") == [_TEA])

    event = remembering.say(memory, _BERLIN)["eventId"]
    ask = {"memoryId": memory, "filter": {"actorId": "ann", "sessionId": "first", "status": "FAILED"}}
    (failed,) = until(lambda: remembering.data.list_memory_extraction_jobs(**ask)["jobs"])
    assert failed["messages"] == {"messagesList": [{"eventId": event, "messageIndex": 0}]}
    assert "needs tenant, which the event does not give" in failed["failureReason"]
    remembering.say(memory, _BERLIN, sessionId="second")
    until(lambda: len(remembering.data.list_memory_extraction_jobs(memoryId=memory)["jobs"]) == 2)
    page = remembering.data.list_memory_extraction_jobs(memoryId=memory, maxResults=1)
    rest = remembering.data.list_memory_extraction_jobs(
        memoryId=memory, maxResults=1, nextToken=page["nextToken"]
    )
    assert [one["sessionId"] for one in (*page["jobs"], *rest["jobs"])] == ["second", "first"]
    job = {"jobId": failed["jobID"]}
    assert (
        remembering.data.start_memory_extraction_job(memoryId=memory, extractionJob=job)["jobId"]
        == job["jobId"]
    )
    until(lambda: len(remembering.data.list_memory_extraction_jobs(**ask)["jobs"]) == 1)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        remembering.data.start_memory_extraction_job(memoryId=memory, extractionJob={"jobId": "job-none"})
    stranger = Remembering(server, server.new_tenant())
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        stranger.data.list_memory_extraction_jobs(memoryId=memory)
