"""A week told to a running server, as a program with boto3 does: what its memory holds of it, and answers."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.services.memory.remembering import Remembering

from benchmarks.inn import Inn
from benchmarks.week.outcome import Kept, Outcome, judged
from benchmarks.week.week import Fact, Week

_STRATEGY = {"semanticMemoryStrategy": {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}}
_NAMESPACE = "/facts/ann/"
_QUIET_LOOKS, _LOOK_SECONDS, _PATIENCE_SECONDS = 8, 0.5, 900.0
_DEEP = 20


@dataclass(frozen=True, slots=True)
class Served:
    """`asked` are changed facts that were asked for, `answered` those whose newest value came first."""

    outcome: Outcome
    asked: int
    answered: int
    seconds: float


def served(inn: Inn, week: Week) -> Served:
    began = time.monotonic()
    person = Remembering(inn.server)
    memory = person.create(memoryStrategies=[_STRATEGY])
    turns = {}
    for turn in week.turns:
        event = person.say(memory, turn.text, turn.role, eventTimestamp=turn.at)
        turns[event["eventId"]] = turn.id
    _wait(inn, memory)
    seconds = time.monotonic() - began
    out = judged(week, _kept(inn, person, memory, turns))
    changed = [chain for chain in _chains(week) if len(chain) > 1]
    right = sum(_is_answered(person, memory, chain) for chain in changed)
    return Served(out, len(changed), right, seconds)


def _wait(inn: Inn, memory: str) -> None:
    """Until nothing more is learned."""
    until, quiet = time.monotonic() + _PATIENCE_SECONDS, 0
    while quiet < _QUIET_LOOKS:
        if time.monotonic() > until:
            raise TimeoutError(f"the week was not learned within {_PATIENCE_SECONDS:g} s")
        path = f"/-/v1/memories/{memory}/jobs?status="
        busy = any(inn.server.native("GET", path + state)["jobs"] for state in ("PENDING", "RUNNING"))
        quiet = 0 if busy else quiet + 1
        time.sleep(_LOOK_SECONDS)


def _kept(inn: Inn, person: Remembering, memory: str, turns: dict[str, str]) -> list[Kept]:
    """All records, those that were retired as well: the histories of those that hold have them."""
    found: dict[str, Any] = {}
    for id_ in _holding(person, memory):
        if id_ not in found:
            answer = inn.server.native("GET", f"/-/v1/memories/{memory}/records/{id_}/history")
            found |= {one["memoryRecordId"]: one for one in answer["records"]}
    places = {id_: place for place, id_ in enumerate(found)}
    return [
        Kept(
            one["text"],
            datetime.fromisoformat(one["timestamp"]),
            {turns[id_] for id_ in one["sourceEventIds"][:1]},
            {turns[id_] for id_ in one["sourceEventIds"]},
            places.get(one["supersededBy"]),
        )
        for one in found.values()
    ]


def _holding(person: Remembering, memory: str) -> Iterator[str]:
    pages = person.data.get_paginator("list_memory_records").paginate(memoryId=memory, namespace=_NAMESPACE)
    for page in pages:
        yield from (one["memoryRecordId"] for one in page["memoryRecordSummaries"])


def _chains(week: Week) -> list[list[Fact]]:
    """Each fact that holds, before those that it followed."""
    followed = {id(one.before) for one in week.facts}
    chains = []
    for fact in week.facts:
        if id(fact) in followed:
            continue
        chain = [fact]
        while before := chain[-1].before:
            chain.append(before)
        chains.append(chain)
    return chains


def _is_answered(person: Remembering, memory: str, chain: list[Fact]) -> bool:
    """Whether the first record that speaks of any of its values has the newest."""
    now = chain[0]
    owner = f"{now.subject}'s" if now.subject else "my"
    criteria = {"searchQuery": f"What is {owner} {now.slot.name}?", "topK": _DEEP}
    answer = person.data.retrieve_memory_records(
        memoryId=memory, namespace=_NAMESPACE, searchCriteria=criteria
    )
    for record in answer["memoryRecordSummaries"]:
        text = record["content"]["text"].lower()
        if now.subject.lower() in text and any(one.value.lower() in text for one in chain):
            return now.value.lower() in text
    return False
