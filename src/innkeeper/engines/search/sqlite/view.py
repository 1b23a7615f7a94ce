"""What a search needs of the passages of one scope, in memory: words, vectors, and who stands beside whom."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.search.sqlite.growing import Growing
from innkeeper.engines.search.sqlite.postings import Postings
from innkeeper.engines.search.sqlite.vectors import Vectors

_NEAR = (-2, -1, 1, 2)
_BYTES_OF_MAPS = 250


class Numbers:
    """A number for each name; 0 stands for no name."""

    def __init__(self) -> None:
        self.names: list[str] = [""]
        self._of: dict[str, int] = {"": 0}

    def of(self, name: str) -> int:
        number = self._of.get(name)
        if number is None:
            number = self._of[name] = len(self.names)
            self.names.append(name)
        return number


@dataclass(frozen=True)
class Lines:
    """Passages, as far as they are kept in memory, in columns. Of `words` (their keys) and `times`, each
    has as many as `counts` says. `vectors` are by their length: which lines have one, and theirs."""

    ids: NDArray[np.int64]
    threads: NDArray[np.int32]
    places: NDArray[np.int32]
    speakers: NDArray[np.int32]
    roles: NDArray[np.int32]
    words: NDArray[np.uint32]
    times: NDArray[np.float32]
    counts: NDArray[np.int64]
    vectors: Mapping[int, tuple[NDArray[np.intp], NDArray[np.float32]]]


class View:
    """Rows are added at the end; one that was removed stays as a hole."""

    def __init__(self) -> None:
        self.ids = Growing(np.int64)
        self.threads = Growing(np.int32)
        self.places = Growing(np.int32)
        self.speakers = Growing(np.int32)
        self.roles = Growing(np.int32)
        self.postings = Postings()
        self._vectors: dict[int, Vectors] = {}
        self._row_of: dict[int, int] = {}
        self._row_at: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        vectors = sum(kept.bytes for kept in self._vectors.values())
        return self.postings.bytes + vectors + _BYTES_OF_MAPS * len(self.ids)

    @property
    def is_worn(self) -> bool:
        """More holes than rows: it should be made anew."""
        return len(self.ids) > 64 + 2 * len(self._row_of)

    def put(self, lines: Lines) -> None:
        for id_ in lines.ids.tolist():
            self.remove(id_)
        first = len(self.ids)
        for name in ("ids", "threads", "places", "speakers", "roles"):
            getattr(self, name).add(getattr(lines, name))
        self.postings.add(lines.words, lines.times, lines.counts)
        for width, (places, vectors) in lines.vectors.items():
            self._vectors.setdefault(width, Vectors(width)).add(first + places, vectors)
        rows = np.arange(first, len(self.ids))
        self._row_of.update(zip(lines.ids.tolist(), rows.tolist(), strict=True))
        rows = rows[lines.threads != 0]
        self._row_at.update(zip(self._spots(rows).tolist(), rows.tolist(), strict=True))

    def remove(self, id_: int) -> None:
        row = self._row_of.pop(id_, None)
        if row is None:
            return
        spot = int(self._spots(np.array([row]))[0])
        if self._row_at.get(spot) == row:
            del self._row_at[spot]
        self.postings.remove(row)
        for vectors in self._vectors.values():
            vectors.remove(row)

    def nearest(
        self, vector: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows, the nearest first, and their cosines."""
        vectors = self._vectors.get(len(vector))
        return vectors.nearest(vector, limit) if vectors else (np.zeros(0, np.int64), np.zeros(0))

    def beside(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Rows up to two places away in the same thread."""
        spots = self._spots(rows[self.threads.rows[rows] != 0]).tolist()
        found = (self._row_at.get(spot + step) for spot in spots for step in _NEAR)
        return np.array([row for row in found if row is not None], np.intp)

    def _spots(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Thread and place in one number; the places of two threads are far apart."""
        return (self.threads.rows[rows].astype(np.int64) << 32) + self.places.rows[rows]
