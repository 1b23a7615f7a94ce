"""Memories, and what is said of a request that breaks their rules."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import FieldError, InvalidRequest
from innkeeper.kernel.text import storable

RESOURCE_TYPE = "memory"


class MemoryStatus(StrEnum):
    ACTIVE = "ACTIVE"
    DELETING = "DELETING"


@dataclass(frozen=True, slots=True)
class Memory:
    """`configuration` holds the members of the request that are only kept. `strategies` are as they are
    shown, but for their times, which are texts. `revision` grows with every change."""

    account: str
    id: str
    name: str
    arn: str
    status: MemoryStatus
    event_expiry_days: int
    strategies: list[Document]
    configuration: Document
    revision: int
    created_at: datetime
    updated_at: datetime

    @property
    def indexed_keys(self) -> dict[str, str]:
        """The types of the metadata keys that records are filtered by."""
        return {one["key"]: one["type"] for one in self.configuration.get("indexedKeys", ())}

    def strategy(self, strategy_id: str) -> Document | None:
        return next((one for one in self.strategies if one["strategyId"] == strategy_id), None)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one account, one memory, one event and one page of events may hold; how many events may wait, how
    long a write may; how soon after an event a strategy looks at its session."""

    memories: int
    strategies: int
    event_bytes: int
    page_bytes: int
    queued_events: int
    write_seconds: float
    learn_after_seconds: float


def invalid(member: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"Value at '{member}' is not allowed: {rule}", (FieldError(member, rule),))


def check_text(member: str, text: str) -> None:
    """Raises InvalidRequest for what is not storable."""
    if not storable(text):
        raise invalid(member, "it has a character that is none: NUL, or half of a surrogate pair")
