"""Several embedders as one: each text goes to the first that reads its language.

Their vectors have different lengths, so that a query meets what was said in languages of its own embedder.
"""

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.embedders.embedder import Embedder


class ByLanguage:
    """What nobody reads is the last one's."""

    def __init__(self, *embedders: Embedder) -> None:
        self.model = "+".join(embedder.model for embedder in embedders)
        self._embedders = embedders

    async def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        readers = list(map(self._reader, texts))
        vectors: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(texts)
        for embedder in self._embedders:
            places = [place for place, reader in enumerate(readers) if reader is embedder]
            if places:
                found = await embedder.embed([texts[place] for place in places])
                for place, vector in zip(places, found, strict=True):
                    vectors[place] = vector
        return vectors

    def reads(self, text: str) -> bool:
        return self._reader(text).reads(text)

    def step(self, query: str) -> float:
        return self._reader(query).step(query)

    async def close(self) -> None:
        await asyncio.gather(*(embedder.close() for embedder in self._embedders))

    def _reader(self, text: str) -> Embedder:
        return next((one for one in self._embedders if one.reads(text)), self._embedders[-1])
