"""A lesson: what a job gives an extractor to read, and what its findings become."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from innkeeper.engines.extraction.extractor import Finding, Guidance, Kind, Reading, Said, Wanted
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InnkeeperError
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.learning import model
from innkeeper.services.memory.learning.model import Found, Job, JobState
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.records import metadata
from innkeeper.services.memory.records.model import SOURCES_MAX, Record

_TEXT_MAX = 16_000  # of a record
_NUMBER = re.compile(r"[+-]?\d{1,300}(\.\d*)?")
_LESSONS = uuid.UUID("7f6b5a0e-3c1d-4f0e-9c55-2d6f3b1f8a10")


@dataclass(frozen=True, slots=True)
class Lesson:
    """`said` are the new turns by position, `before` those that help to understand them."""

    memory: Memory
    strategy: Document
    job: Job
    said: Sequence[tuple[int, Turn]]
    before: Sequence[tuple[int, Turn]] = ()
    present: Sequence[str] = ()

    def reading(self) -> Reading:
        return Reading(
            kind=Kind(self.job.kind),
            turns=[_said(one, self.job.created_at) for one in self.said],
            before=[_said(one, self.job.created_at) for one in self.before],
            present=self.present,
            guidance=self.guidance("extraction"),
            wanted=list(_wanted(model.schema(self.strategy, self.job.kind))),
        )

    def guidance(self, step: str) -> Guidance:
        if self.job.kind == model.REFLECTION:
            step = "reflection"
        told = model.guidance_of(self.strategy, step)
        return Guidance(told.get("appendToPrompt", ""), told.get("modelId", ""), self.memory.account)

    def found(self, finding: Finding) -> Found | None:
        """None for one that rests on nothing new that was read."""
        turns = {str(position): turn for position, turn in (*self.before, *self.said)}
        sources = [turns[id_] for id_ in finding.sources if id_ in turns]
        if not sources or not finding.text.strip():
            return None
        return Found(
            text=finding.text.strip()[:_TEXT_MAX],
            at=finding.at,
            event_ids=list(dict.fromkeys(turn.event_id for turn in sources)),
            trust=model.trust_of([turn.role for turn in sources]),
            metadata=self._metadata(finding.metadata),
        )

    def rests_on(self, found: Found) -> Sequence[Turn]:
        """The turns of the events that a finding names. A summary rests on the whole session, and is held for
        what it says itself alone."""
        if self.job.kind == model.SUMMARY:
            return []
        return [turn for _, turn in (*self.before, *self.said) if turn.event_id in found.event_ids]

    def record(self, found: Found, now: datetime) -> Record:
        days = self.strategy.get("recordExpiryDurationDays")
        return Record(
            account=self.memory.account,
            memory=self.memory.id,
            record_id=record_id(self.job),
            namespace=self.job.namespace,
            strategy=self.job.strategy,
            text=found.text,
            metadata=found.metadata,
            happened_at=found.at,
            created_at=now,
            updated_at=now,
            valid_from=found.at,
            expires_at=now + timedelta(days=days) if days else None,
            source_event_ids=found.event_ids,
            trust=found.trust,
        )

    def _metadata(self, inferred: Mapping[str, Document]) -> Document:
        """What was inferred, and over it what events said, as far as it is what the schema asks for."""
        kept: Document = {}
        entries = model.schema(self.strategy, self.job.kind)
        rules = {"memoryRecordSchema": {"metadataSchema": entries}}
        for key, value in {**inferred, **_typed(entries, self.job.metadata)}.items():
            try:
                metadata.check(self.memory, rules, {key: value})
            except InnkeeperError:
                continue
            kept[key] = value
        return kept


def reflection(lesson: Lesson, variables: Mapping[str, str], now: datetime) -> Job | None:
    """The job that reflects on the episodes after a lesson has added to them."""
    job, templates = lesson.job, model.reflection_of(lesson.strategy).get("namespaceTemplates", ())
    if job.kind != model.EPISODIC or not templates:
        return None
    after = Job(
        id=f"job-{uuid.uuid5(_LESSONS, job.id)}",
        key=job.key,
        strategy=job.strategy,
        kind=model.REFLECTION,
        namespace="",
        metadata=job.metadata,
        events=job.events,
        state=JobState.PENDING,
        created_at=now,
        updated_at=now,
        not_before=now,
    )
    return model.placed(after, templates[0], variables)


def record_id(job: Job) -> str:
    """The same whenever the finding is applied again. A session's summary keeps its record."""
    key = job.key
    if job.kind != model.SUMMARY:
        return finding_id(job)
    name = f"{key.account}/{key.memory}/{job.strategy}/{key.actor}/{key.session}/{job.namespace}"
    return f"mem-{uuid.uuid5(_LESSONS, name)}"


def finding_id(job: Job) -> str:
    """Of a record that is this finding's alone."""
    return f"mem-{uuid.uuid5(_LESSONS, f'{job.id}/{job.applied}')}"


def sources(found: Found, present: Record | None) -> list[str]:
    """A summary rests on what the one before it rested on too, as far as there is room."""
    earlier = present.source_event_ids if present else []
    return list(dict.fromkeys([*earlier, *found.event_ids]))[-SOURCES_MAX:]


def _said(place: tuple[int, Turn], read_at: datetime) -> Said:
    """Nobody said it after it was read: by a clock that is fast it would outlive whatever is said next."""
    position, turn = place
    return Said(str(position), turn.role, turn.text, min(turn.happened_at, read_at))


def _wanted(entries: Sequence[Document]) -> Iterable[Wanted]:
    for entry in entries:
        if entry.get("extractionType") == "STRICTLY_CONSISTENT":
            continue
        told = entry.get("extractionConfig", {}).get("llmExtractionConfig", {})
        rules = told.get("validation", {})
        texts = rules.get("stringValidation") or rules.get("stringListValidation") or {}
        about = (told.get("definition", ""), told.get("llmExtractionInstruction", ""))
        yield Wanted(
            key=entry["key"],
            type=entry.get("type", "STRING"),
            instruction=" ".join(filter(None, about)),
            values=texts.get("allowedValues", ()),
        )


def _typed(entries: Sequence[Document], given: Document) -> Document:
    """An event's metadata are texts: each becomes a value of the type that the schema names."""
    types = {entry["key"]: entry.get("type", "STRING") for entry in entries}
    typed: Document = {}
    for key, value in given.items():
        text = value.get("stringValue", "")
        if types.get(key) == "STRINGLIST":
            typed[key] = {"stringListValue": [text]}
        elif types.get(key) == "NUMBER":
            typed[key] = {"numberValue": float(text)} if _NUMBER.fullmatch(text) else {"stringValue": text}
        else:
            typed[key] = {"stringValue": text}
    return typed
