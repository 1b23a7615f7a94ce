"""What a strategy reads, when, and the jobs that read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.memory.events.model import SessionKey
from innkeeper.services.memory.namespaces import filled
from innkeeper.services.memory.records.model import Trust

_CHARACTERS_PER_TOKEN = 4  # of English; AgentCore does not say how it counts
_KINDS = {
    "SEMANTIC": "SEMANTIC",
    "SUMMARIZATION": "SUMMARY",
    "USER_PREFERENCE": "USER_PREFERENCE",
    "EPISODIC": "EPISODIC",
    "CUSTOM": "SEMANTIC",
}
_STEPS = ("extraction", "consolidation")
SELF_MANAGED, EPISODIC, REFLECTION, SUMMARY = "SELF_MANAGED", "EPISODIC", "REFLECTION", "SUMMARY"


class JobState(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Triggers:
    """A strategy reads a session when so much is unread in it, or when it was quiet for so long."""

    messages: int
    tokens: int
    idle: timedelta


NEVER = Triggers(messages=1 << 62, tokens=1 << 62, idle=timedelta(days=36_500))
AT_ONCE = Triggers(messages=1, tokens=1, idle=timedelta())


@dataclass(frozen=True, slots=True)
class Plan:
    """A strategy that asks a model waits until it is worth that (`asking`); `episode` triggers what has to
    end before it can be told; everything else is read at once. A job reads `job_turns` turns, or one event if
    that has more. `model` is asked by default, and empty means none; a strategy may name one that
    `answers`."""

    asking: Triggers
    episode: Triggers
    job_turns: int
    model: str = ""
    answers: Callable[[str], bool] = bool

    def asks(self, strategy: Document) -> bool:
        """Whether a model is asked."""
        named = (guidance_of(strategy, step).get("modelId", "") for step in _STEPS)
        return bool(self.model) or any(one and self.answers(one) for one in named)

    def triggers(self, strategy: Document) -> Triggers:
        """A self-managed strategy has its own; what it does not name never triggers it."""
        kind = kind_of(strategy)
        if kind != SELF_MANAGED:
            if kind == EPISODIC:
                return self.episode
            return self.asking if self.asks(strategy) else AT_ONCE
        named: Document = {}
        for condition in strategy["configuration"]["selfManagedConfiguration"]["triggerConditions"]:
            for trigger in condition.values():
                named |= trigger
        idle = named.get("idleSessionTimeout")
        return Triggers(
            messages=named.get("messageCount", NEVER.messages),
            tokens=named.get("tokenCount", NEVER.tokens),
            idle=NEVER.idle if idle is None else timedelta(seconds=idle),
        )


@dataclass(frozen=True, slots=True)
class Unread:
    """A turn that no job was made for yet. `written_at` is when its event came."""

    position: int
    event_id: str
    characters: int
    written_at: datetime
    variables: dict[str, str]
    metadata: Document


def is_due(unread: Sequence[Unread], triggers: Triggers, now: datetime) -> bool:
    tokens = sum(one.characters for one in unread) // _CHARACTERS_PER_TOKEN
    return bool(unread) and (
        len(unread) >= triggers.messages or tokens >= triggers.tokens or idle_at(unread, triggers) <= now
    )


def idle_at(unread: Sequence[Unread], triggers: Triggers) -> datetime:
    """When the session will have been quiet for long enough."""
    return max(one.written_at for one in unread) + triggers.idle


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of the first step, as it is kept for the second. `event_ids` say it; `trust` is theirs."""

    text: str
    at: datetime
    event_ids: list[str]
    trust: Trust
    metadata: Document


@dataclass(frozen=True, slots=True)
class Job:
    """One reading of a session by a strategy. `events` are those it reads, each with how many turns it has;
    all of them have the same `namespace` and `metadata`, which every record of the job gets. `found` is None
    until the first step is done; then the first `applied` of them are records. `dropped` counts, by reason,
    what was found and not kept."""

    id: str
    key: SessionKey
    strategy: str
    kind: str
    namespace: str
    metadata: Document
    events: list[tuple[str, int]]
    state: JobState
    created_at: datetime
    updated_at: datetime
    not_before: datetime
    attempts: int = 0
    found: list[Found] | None = None
    applied: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    failure: str | None = None
    owner: str | None = None
    leased_until: datetime | None = None


def kind_of(strategy: Document) -> str:
    """A kind of the extractors, or SELF_MANAGED."""
    configured: str = strategy.get("configuration", {}).get("type", "")
    if configured == SELF_MANAGED:
        return SELF_MANAGED
    return configured.removesuffix("_OVERRIDE") or _KINDS[strategy["type"]]


def historic_messages(strategy: Document, usual: int) -> int:
    """How many turns that were read already go along with new ones."""
    managed = strategy.get("configuration", {}).get("selfManagedConfiguration", {})
    most: int = managed.get("historicalContextWindowSize", usual)
    return most


def reflection_of(strategy: Document) -> Document:
    """How an episodic strategy reflects on its episodes; {} when it does not."""
    for kind in strategy.get("configuration", {}).get("reflection", {}).values():
        inner: Document = kind.get("episodicReflectionOverride", kind)
        return inner
    return {}


def guidance_of(strategy: Document, step: str) -> Document:
    """What a custom strategy says of a step: `appendToPrompt`, `modelId`; {} when it says nothing. A summary
    has one step alone, which AgentCore calls its consolidation."""
    if kind_of(strategy) == SUMMARY:
        step = "consolidation"
    for override in strategy.get("configuration", {}).get(step, {}).values():
        for inner in override.values():
            if isinstance(inner, dict) and "appendToPrompt" in inner:
                return inner
    return {}


def strict_keys(strategy: Document) -> list[str]:
    """The metadata that goes from an event to its records as it is."""
    return [one["key"] for one in schema(strategy) if one.get("extractionType") == "STRICTLY_CONSISTENT"]


def schema(strategy: Document, kind: str = "") -> Sequence[Any]:
    """The entries of the metadata that the strategy's records have; those of reflections are others."""
    source = reflection_of(strategy) if kind == REFLECTION else strategy
    entries: Sequence[Any] = source.get("memoryRecordSchema", {}).get("metadataSchema", ())
    return entries


def trust_of(roles: Sequence[str]) -> Trust:
    """Of what rests on turns with these roles: what a tool had a part in is the tool's word."""
    if not set(roles) <= {"USER", "ASSISTANT"}:
        return Trust.TOOL
    return Trust.USER if "USER" in roles else Trust.ASSISTANT


def placed(job: Job, template: str, variables: Mapping[str, str]) -> Job:
    """With the namespace that a template makes; one whose namespace cannot be named has failed already."""
    own = {"actorId": job.key.actor, "sessionId": job.key.session, "memoryStrategyId": job.strategy}
    try:
        return replace(job, namespace=filled(template, {**variables, **own}))
    except InvalidRequest as error:
        return replace(job, state=JobState.FAILED, failure=error.message)


def shown(job: Job) -> Document:
    """As JSON. Of the findings it has their number alone."""
    return {
        "jobId": job.id,
        "actorId": job.key.actor,
        "sessionId": job.key.session,
        "strategyId": job.strategy,
        "kind": job.kind,
        "namespace": job.namespace,
        "status": job.state,
        "events": len(job.events),
        "messages": sum(count for _, count in job.events),
        "found": None if job.found is None else len(job.found),
        "applied": job.applied,
        "dropped": job.dropped,
        "attempts": job.attempts,
        "failureReason": job.failure,
        "createdAt": job.created_at.isoformat(),
        "updatedAt": job.updated_at.isoformat(),
    }
