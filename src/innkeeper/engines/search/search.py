"""The Search protocol: short texts found again by their words and by their meaning.

A *shelf* holds the passages of one owner, apart from all others: nothing of one shelf, not even how common
its words are, shows in another. A *passage* is a turn of a conversation, a fact, a piece of a document. A
*scope* is a path such as `/actors/ann/sessions/1/`; a search looks into one scope, or into all below one.

What is here is an index: it can be made again from what its owner keeps. `Candidates` are no answer yet, but
what an answer is chosen from, with everything that counts for the choice.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scope:
    """`path` begins and ends with a slash; with `below`, everything under it is meant as well."""

    path: str
    below: bool = True


@dataclass(frozen=True)
class Passage:
    """`id` is its owner's, unique on the shelf. `thread` and `place` tell what stands beside it: a session
    and the turn's number in it. `before` is the text that it answers, `happened` its time in words: a word
    found there counts, but less than one of its own. `role` is who speaks in the conversation (`USER`: the
    person it is held for). `vector` has length 1, or is absent; it is compared with those of as many
    dimensions, and other ones may stand on the same shelf."""

    id: int
    scope: str
    text: str
    thread: str = ""
    place: int = 0
    speaker: str = ""
    before: str = ""
    happened: str = ""
    vector: NDArray[np.float32] | None = None
    role: str = ""


@dataclass(frozen=True)
class Candidates:
    """Columns of equal length, a passage a row. `words` is its BM25 score (0 where no word is shared),
    `meaning` its cosine (NaN where it was not among the nearest, or has no vector). Rows with neither are
    neighbours of a candidate. `threads` tells passages of different threads apart, and 0 is none; `speakers`
    and `roles` index `names`; `lengths` counts words.
    """

    ids: NDArray[np.int64]
    threads: NDArray[np.int32]
    places: NDArray[np.int32]
    speakers: NDArray[np.int32]
    roles: NDArray[np.int32]
    lengths: NDArray[np.float64]
    words: NDArray[np.float64]
    meaning: NDArray[np.float64]
    names: Sequence[str]


class Search(Protocol):
    async def put(self, shelf: str, passages: Sequence[Passage]) -> None:
        """Add them, or replace those of the same id: all or none, and durable on return."""
        ...

    async def remove(self, shelf: str, ids: Collection[int]) -> None:
        """Forget them; ids that are not there are no error."""
        ...

    async def candidates(
        self, shelf: str, scope: Scope, query: str, vector: NDArray[np.float32] | None, limit: int
    ) -> Candidates:
        """The `limit` best by words and the `limit` best by meaning, and their neighbours up to two places
        away; of an unknown shelf, none. No order is promised."""
        ...

    async def forget_vectors(self, shelf: str) -> None:
        """So that those of another model, of any length, can be put."""
        ...

    async def erase(self, *shelves: str) -> None:
        """Leave no byte of what was removed from them in any file."""
        ...

    async def drop(self, *shelves: str) -> None:
        """Remove the shelves, every byte of them."""
        ...

    async def close(self) -> None: ...
