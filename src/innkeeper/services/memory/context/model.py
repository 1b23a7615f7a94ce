"""A context: what a model is given to read before it answers, in parts, within a budget of tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from innkeeper.kernel.call import Document


class Part(StrEnum):
    """In the order in which they are shown: what seldom changes stands first, so that a model's cache of
    prompts holds it; then what the query brings up; the conversation last."""

    BLOCKS = "blocks"
    DOCUMENTS = "documents"  # chunks in view, and what else there is
    DIGEST = "digest"  # of the turns before the recent ones
    RECORDS = "records"
    TURNS = "turns"  # older ones, word for word
    RECENT = "recent"


STABLE = frozenset({Part.BLOCKS, Part.DOCUMENTS, Part.DIGEST})

# What each part may have of the budget while the others need theirs.
SHARES: Mapping[Part, float] = {
    Part.BLOCKS: 2,
    Part.DOCUMENTS: 4,
    Part.DIGEST: 2,
    Part.RECORDS: 2,
    Part.TURNS: 2,
    Part.RECENT: 4,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """What may go into a context, wholly or not at all; some parts cut theirs. `marks` are told to the model,
    `about` and `why` to the program. A turn has its place among those of its part, when it `happened`,
    and names its `event` and how many turns that has; a record, the events that it rests on: `sources`."""

    id: str
    text: str
    why: Document
    marks: Mapping[str, str] = field(default_factory=dict)
    about: Document = field(default_factory=dict)
    role: str = ""
    happened: float = 0
    event: str = ""
    turns: int = 1
    sources: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    piece: Piece
    tokens: int


@dataclass(frozen=True, slots=True)
class Section:
    """What was chosen for a part. `tokens` counts its frame too; `left_out` is how many had no room."""

    part: Part
    chosen: Sequence[Chosen]
    tokens: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request. Without a `query`, the last that the user said is what is looked for. Records are those that
    the strategies make for the actor alone, unless `namespace_paths` says otherwise. When the turns that have
    no digest take more tokens than `above`, those older than the newest of `keep` tokens get one."""

    actor: str
    session: str | None
    query: str | None
    tokens: int
    branch: str
    namespace_paths: Sequence[str] | None = None
    shares: Mapping[Part, float] = field(default_factory=lambda: SHARES)
    above: int | None = None
    keep: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """`tokens` is what `text` takes; `converse`, the same as system and messages of Bedrock's Converse, takes
    no more."""

    tokens: int
    budget: int
    sections: Sequence[Section]
    text: str
    converse: Document
