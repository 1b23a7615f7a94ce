"""The Embedder protocol: texts as vectors, near to each other where they mean the like."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class EmbedderError(Exception):
    """The texts could not be embedded; the message says why."""


class Embedder(Protocol):
    """`model` names the weights: vectors of different models can't be compared, and are kept under it."""

    model: str

    async def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One for each text, of length 1. Those of as many dimensions can be compared. Raises
        EmbedderError."""
        ...

    def reads(self, text: str) -> bool:
        """Whether it knows the language; where not, a vector tells less than the words."""
        ...

    def step(self, query: str) -> float:
        """How far apart the cosines of this query lie: what counts as one step nearer."""
        ...

    async def close(self) -> None: ...
