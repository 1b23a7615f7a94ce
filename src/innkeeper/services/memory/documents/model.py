"""Documents: long texts in chunks, of which an agent pulls into its view what it needs."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one heading, before the next: the chunks from `first` to `last`."""

    title: str
    summary: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Text:
    """A document of an actor, for all sessions or for one; `session` is empty for all. `tokens` is an
    estimate."""

    account: str
    memory: str
    actor: str
    session: str
    id: str
    title: str
    summary: str
    sections: Sequence[Section]
    chunks: int
    tokens: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece, with its line breaks; `heading` names the sections around it, the outermost first. All of a
    document's, one after the other, are the document; one that waits for review, or was rejected, has no
    text."""

    document: str
    number: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Added:
    """A document that was taken in, and how many of its texts wait for review."""

    document: Text
    held: int


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """`bytes_` of one text, how many an actor may have, and how many chunks a session may have in view."""

    bytes_: int
    per_actor: int
    pulled: int


def new_document_id() -> str:
    return f"doc-{uuid.uuid4()}"
