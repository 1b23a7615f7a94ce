"""The Extractor protocol: what a conversation leaves to be remembered.

It takes two steps, and what the first one found is kept before the second begins: `extract` reads turns and
names what is worth keeping; `consolidate` holds each finding against what is known already. The turns
themselves are kept elsewhere, word for word: a finding is one more key to them, and points at them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class ExtractionError(Exception):
    """No usable answer came, however often it was asked for; the message says why, and quotes no turn."""


class Kind(StrEnum):
    """What is looked for; the words of AgentCore's strategies."""

    SEMANTIC = "SEMANTIC"
    SUMMARY = "SUMMARY"
    USER_PREFERENCE = "USER_PREFERENCE"
    EPISODIC = "EPISODIC"
    REFLECTION = "REFLECTION"


class Action(StrEnum):
    ADD = "ADD"
    UPDATE = "UPDATE"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Said:
    """One turn. `role` is USER, ASSISTANT, TOOL or OTHER; `id` is unique within a reading."""

    id: str
    role: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a custom strategy says of one step: a prompt to follow besides, and the model to ask. Empty where
    it says nothing. `account` is whose memory it is: what a model takes is metered there."""

    prompt: str = ""
    model: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A piece of metadata to find out. `type` is STRING, STRINGLIST or NUMBER; `values` are those allowed,
    and empty means any."""

    key: str
    type: str
    instruction: str = ""
    values: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """`turns` are new; those of `before` were read already, and help to understand. `present` is what stands
    so far: the summary of the session, the episodes to reflect on. The extractor counts in `dropped` what it
    found and did not keep, by reason, for the job to show."""

    kind: Kind
    turns: Sequence[Said]
    before: Sequence[Said] = ()
    present: Sequence[str] = ()
    guidance: Guidance = Guidance()
    wanted: Sequence[Wanted] = ()
    dropped: Counter[str] = field(default_factory=Counter, compare=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """`sources` are the ids of the turns that it rests on, at least one; `at` is the time it speaks of.
    `metadata` has values as on the wire, `{"stringValue": ...}`."""

    text: str
    sources: Sequence[str]
    at: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """A record that is near to a finding, in the namespace that the finding is for. `before` are the texts of
    those that it took the place of, the latest first."""

    id: str
    text: str
    at: datetime
    before: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """ADD keeps the finding beside what is known; UPDATE says that it and the records in `replaces` cannot
    both hold: the one of the latest time does, the others are its history. SKIP keeps nothing: the records
    in `replaces`, if any, say it already."""

    action: Action
    replaces: Sequence[str] = ()


class Extractor(Protocol):
    """Neither step changes anything: both may be repeated. A finding says only what its sources say."""

    async def extract(self, reading: Reading) -> Sequence[Finding]:
        """Of a SUMMARY exactly one, which takes the place of the present one. Raises ExtractionError."""
        ...

    async def consolidate(
        self, kind: Kind, finding: Finding, known: Sequence[Known], guidance: Guidance
    ) -> Verdict:
        """Of `known` the nearest come first. `replaces` names ids of it alone. Raises ExtractionError."""
        ...
