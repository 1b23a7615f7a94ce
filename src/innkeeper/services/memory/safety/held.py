"""Texts that wait for review apart from where they were meant to stand, where nothing reads them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from innkeeper.kernel.call import Document


class HeldKind(StrEnum):
    BLOCK = "BLOCK"  # `name` is the block's, `number` the version that the text was written on
    CHUNK = "CHUNK"  # `name` is the document's id, `number` the chunk's
    TITLE = "TITLE"  # of a document: `name` is its id
    DIGEST = "DIGEST"  # lines; `name` is the branch, `number` the digest's version


@dataclass(frozen=True, slots=True)
class Held:
    """`actor` and `session` are those of the thing that the text is of; `session` is empty for all. `detail`
    is what else its owner needs to put it there. `concerns` are the names of what vetting found."""

    account: str
    memory: str
    id: str
    kind: HeldKind
    actor: str
    session: str
    name: str
    number: int
    text: str
    detail: Document
    concerns: Sequence[str]
    created_at: datetime


def new_held_id() -> str:
    return f"held-{uuid.uuid4()}"
