"""Records: what is remembered for long, each in a namespace."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from innkeeper.kernel.call import Document

SOURCES_MAX = 50  # events that a record names as saying it
NO_STRATEGY = "DEFAULT"  # shown for a record that belongs to none


class RecordStatus(StrEnum):
    ACTIVE = "ACTIVE"
    QUARANTINED = "QUARANTINED"
    RETIRED = "RETIRED"


class Trust(StrEnum):
    """Whose word a record is, the most trusted first."""

    OWNER = "OWNER"  # written by the account's own program
    USER = "USER"
    ASSISTANT = "ASSISTANT"
    TOOL = "TOOL"


def may_replace(newer: Trust, older: Trust) -> bool:
    """Nobody's word takes the place of the word of someone who is trusted more; a person's takes that of
    their own program."""
    order = {Trust.OWNER: 0, Trust.USER: 0, Trust.ASSISTANT: 1, Trust.TOOL: 2}
    return order[newer] <= order[older]


@dataclass(frozen=True, slots=True)
class Record:
    """`happened_at` is the time it speaks of. It is true from `valid_from` until `valid_to`, when the record
    named in `superseded_by` took its place. `metadata` is as on the wire, its times as texts. `concerns` are
    the names of what vetting found in it."""

    account: str
    memory: str
    record_id: str
    namespace: str
    strategy: str
    text: str
    metadata: Document
    happened_at: datetime
    created_at: datetime
    updated_at: datetime
    valid_from: datetime
    expires_at: datetime | None = None
    valid_to: datetime | None = None
    superseded_by: str | None = None
    source_event_ids: list[str] = field(default_factory=list)
    trust: Trust = Trust.OWNER
    status: RecordStatus = RecordStatus.ACTIVE
    concerns: list[str] = field(default_factory=list)

    def holds(self, now: datetime) -> bool:
        """Neither withdrawn, nor replaced, nor expired."""
        fresh = self.expires_at is None or self.expires_at > now
        return self.status is RecordStatus.ACTIVE and self.valid_to is None and fresh


def succession(record: Record, replaced: Iterable[Record], now: datetime) -> tuple[Record, Sequence[Record]]:
    """A record as it is to be kept, and those that it retires. Where one that it would replace speaks of a
    later time, it is history already."""
    others = list(replaced)
    later = [one for one in others if one.valid_from > record.valid_from]
    if later:
        successor = min(later, key=lambda one: one.valid_from)
        record = replace(record, **ended(record, successor, now))
    return record, [one for one in others if one not in later]


def ended(record: Record, successor: Record, now: datetime) -> Document:
    """It was true until its successor came; what was true at a time stays to be asked."""
    return {
        "status": RecordStatus.RETIRED,
        "valid_to": max(successor.valid_from, record.valid_from),
        "superseded_by": successor.record_id,
        "updated_at": now,
    }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item of a batch; without an error it succeeded."""

    record_id: str
    request: str | None = None
    error_code: int | None = None
    error: str | None = None


def new_record_id() -> str:
    return f"mem-{uuid.uuid4()}"


def kept_metadata(metadata: Document) -> Document:
    """From the wire, for the database."""
    return {
        key: {"dateTimeValue": value["dateTimeValue"].isoformat()} if "dateTimeValue" in value else value
        for key, value in metadata.items()
    }


def shown_metadata(metadata: Document) -> Document:
    """From the database, for the wire."""
    return {
        key: {"dateTimeValue": datetime.fromisoformat(value["dateTimeValue"])}
        if "dateTimeValue" in value
        else value
        for key, value in metadata.items()
    }
