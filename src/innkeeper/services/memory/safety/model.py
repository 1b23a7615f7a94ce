"""Changes of records, as their history keeps them."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from innkeeper.services.memory.records.model import Record, RecordStatus, Trust

_TIMES = ("happened_at", "created_at", "updated_at", "valid_from", "expires_at", "valid_to")


class Action(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    RETIRE = "RETIRE"  # a newer record took its place
    DELETE = "DELETE"
    EXPIRE = "EXPIRE"
    RELEASE = "RELEASE"  # from quarantine
    REJECT = "REJECT"  # deleted from quarantine
    RESTORE = "RESTORE"  # by a rollback
    ADOPT = "ADOPT"  # it was there before there was a history


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one record. `sequence` counts those of a memory from 1 on, and `at` grows with it, once a
    transaction. `before` is the record's state as text (None: there was none), `was` and
    `became` are the digests of its states before and after, `mac` that of the whole chain up to here. Of an
    erased change `before` and `namespace` are gone, of a shortened one `before` alone; `erased` and
    `shortened` are the proofs that we did it. `row` is the record's place in lists."""

    account: str
    memory: str
    sequence: int
    record_id: str
    namespace: str
    row: int | None
    at: datetime
    by: str
    action: Action
    before: str | None
    was: str | None
    became: str | None
    mac: str
    erased: str | None = None
    shortened: str | None = None


def state_of(record: Record) -> str:
    """As text, always the same for the same record."""
    members: dict[str, Any] = asdict(record)
    members |= {name: members[name] and members[name].astimezone(UTC).isoformat() for name in _TIMES}
    return json.dumps(members, sort_keys=True)


def record_of(state: str) -> Record:
    members = json.loads(state)
    members |= {name: members[name] and datetime.fromisoformat(members[name]) for name in _TIMES}
    return Record(**{**members, "trust": Trust(members["trust"]), "status": RecordStatus(members["status"])})
