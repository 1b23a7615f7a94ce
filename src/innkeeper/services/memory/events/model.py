"""Events, and the turns in them."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from innkeeper.kernel.call import Document
from innkeeper.services.memory.events.envelopes import spoken
from innkeeper.services.memory.events.json_payload import spoken_in
from innkeeper.services.memory.model import invalid

TRUNK = "main"  # how clients call the events that are on no branch


@dataclass(frozen=True, slots=True)
class SessionKey:
    account: str
    memory: str
    actor: str
    session: str


@dataclass(frozen=True, slots=True)
class Event:
    """`payload` and `metadata` are as they came. `request` is a digest of who asked under which token. Only a
    listed event is shown to the session's reader; what was ingested is kept for what is learned from it."""

    key: SessionKey
    id: str
    happened_at: datetime
    payload: list[Document]
    metadata: Document
    branch: str | None = None
    root_event_id: str | None = None
    request: str | None = None
    listed: bool = True
    skip_extraction: bool = False
    namespace_variables: Mapping[str, str] | None = None

    def messages(self) -> list[tuple[str, str]]:
        """Role and text of each conversational message, in order."""
        said = [one["conversational"] for one in self.payload if "conversational" in one]
        return [(one["role"], one["content"]["text"]) for one in said]

    def turns(self) -> list[tuple[str, str]]:
        """The words alone of what a framework wrapped, and what JSON payloads say; in order."""
        return [turn for one in self.payload for turn in _turns(one)]


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said in one message of an event. A search marks those that look like attempts to steer the
    agent as `flagged`."""

    actor: str
    session: str
    event_id: str
    role: str
    text: str
    happened_at: datetime
    flagged: bool = False


def _turns(item: Document) -> list[tuple[str, str]]:
    if "conversational" in item:
        message = item["conversational"]
        return [spoken(message["role"], message["content"]["text"])]
    return spoken_in(item["json"]["content"]) if "json" in item else []


def new_event_id(happened_at: datetime) -> str:
    """Its digits are the milliseconds of its time; ids of one session sort by time."""
    return f"{max(0, round(happened_at.timestamp() * 1000)):019d}#{secrets.token_hex(8)}"


def request_digest(key: SessionKey, token: str | None) -> str | None:
    """Names a request that may come twice; None when it has no token."""
    if not token:
        return None
    text = json.dumps([key.account, key.memory, key.actor, token])
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def matches(metadata: Mapping[str, Any], filters: Sequence[Document]) -> bool:
    """Whether an event's metadata passes all filters of ListEvents."""
    return all(_passes(metadata, one) for one in filters)


def check_filters(filters: Sequence[Document]) -> None:
    """Raises InvalidRequest when EQUALS_TO has nothing to compare with."""
    for one in filters:
        if one["operator"] == "EQUALS_TO" and not one.get("right", {}).get("metadataValue"):
            raise invalid("filter.eventMetadata", "EQUALS_TO needs right.metadataValue")


def _passes(metadata: Mapping[str, Any], one: Document) -> bool:
    value = metadata.get(one["left"]["metadataKey"])
    if one["operator"] == "EQUALS_TO":
        return bool(value == one["right"]["metadataValue"])
    return (value is not None) is bool(one["operator"] == "EXISTS")
