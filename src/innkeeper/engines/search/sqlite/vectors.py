"""The vectors of the rows of one scope, all of one length, in memory: bytes to compare by, and bits to choose
whom to compare.

A number is kept as a byte, in steps of its row's largest one. A row's signs are its bits: those with most of
them in common with the query are near to it, and of those the cosine is computed.
"""

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.search.sqlite.growing import Growing

# So many times as many as are wanted are chosen by their bits, and at least so many.
_CHOSEN, _CHOSEN_LEAST = 5, 2000
_WORD_BITS = 64


class Vectors:
    """Of the rows that have one, in their order; one that was removed is of zeros, and near to nothing."""

    def __init__(self, width: int) -> None:
        self._rows = Growing(np.int64)
        self._bytes = Growing(np.int8, width)
        self._steps = Growing(np.float32)
        self._bits = [Growing(np.uint64) for _ in range(0, width, _WORD_BITS)]

    @property
    def bytes(self) -> int:
        beside = self._rows.bytes + self._steps.bytes + sum(column.bytes for column in self._bits)
        return self._bytes.bytes + beside

    def add(self, rows: NDArray[np.intp], vectors: NDArray[np.float32]) -> None:
        """`rows` ascend, and stand after those that were added before."""
        self._rows.add(rows)
        steps = np.abs(vectors).max(axis=1, initial=0) / 127
        self._bytes.add(np.rint(vectors / np.where(steps, steps, 1)[:, None]))
        self._steps.add(steps)
        for column, bits in zip(self._bits, _signs(vectors), strict=True):
            column.add(bits)

    def remove(self, row: int) -> None:
        place = np.searchsorted(self._rows.rows, row)
        if place < len(self._rows) and self._rows.rows[place] == row:
            self._steps.rows[place] = 0

    def nearest(
        self, vector: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The `limit` nearest rows that share any meaning, the nearest first, and their cosines."""
        places = self._chosen(vector, max(_CHOSEN * limit, _CHOSEN_LEAST))
        cosines = self._cosines(vector, places)
        best = np.argsort(-cosines)[:limit]
        best = best[cosines[best] > 0]
        return self._rows.rows[places[best]], cosines[best]

    def _cosines(self, vector: NDArray[np.float32], places: NDArray[np.intp]) -> NDArray[np.float64]:
        # Not by BLAS: on a busy machine its threads wait for each other longer than this takes.
        near = np.einsum("ij,j->i", self._bytes.rows.take(places, axis=0).astype(np.float32), vector)
        cosines: NDArray[np.float64] = (near * self._steps.rows[places]).astype(np.float64)
        return cosines

    def _chosen(self, vector: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
        size = len(self._steps)
        if size <= limit:
            return np.arange(size)
        apart = np.zeros(size, np.uint16)
        for column, bits in zip(self._bits, _signs(vector[None]), strict=True):
            apart += np.bitwise_count(column.rows ^ bits)
        return np.argpartition(apart, limit)[:limit]


def _signs(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """A row for each 64 dimensions."""
    packed = np.packbits(vectors > 0, axis=1)
    whole = np.zeros((len(packed), -(-vectors.shape[1] // _WORD_BITS) * 8), np.uint8)
    whole[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(whole).view(np.uint64).T
