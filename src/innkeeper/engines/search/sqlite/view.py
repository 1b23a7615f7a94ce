"""What a search needs of the passages of one scope, in memory: who stands beside whom, and the vectors."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEAR = (-2, -1, 1, 2)


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
class Line:
    """A passage, as far as it is kept in memory; `vector` is of float16."""

    id: int
    thread: int
    place: int
    speaker: int
    vector: NDArray[np.float16] | None


class View:
    """Rows in no order, without holes: the last row moves to where one was removed. `whole` says that the
    scope holds all that is on the shelf."""

    def __init__(self, lines: Collection[Line], width: int, shelf_size: int) -> None:
        self.whole = len(lines) == shelf_size
        room = max(16, len(lines))
        self._width = width
        self._size = 0
        self._row_of: dict[int, int] = {}
        self._row_at: dict[tuple[int, int], int] = {}
        self.ids = np.zeros(room, np.int64)
        self.threads = np.zeros(room, np.int32)
        self.places = np.zeros(room, np.int32)
        self.speakers = np.zeros(room, np.int32)
        # A passage without a vector has one of zeros, which is near to nothing.
        self._vectors = np.zeros((room, width), np.float32)
        for line in lines:
            self.put(line)

    @property
    def bytes(self) -> int:
        return self._vectors.nbytes + 200 * len(self.ids)

    def put(self, line: Line) -> None:
        row = self._row_of.get(line.id)
        if row is None:
            row = self._size
            self._make_room()
            self._size += 1
        else:
            self._row_at.pop((int(self.threads[row]), int(self.places[row])), None)
        self.ids[row], self.threads[row], self.places[row] = line.id, line.thread, line.place
        self.speakers[row] = line.speaker
        self._vectors[row] = 0 if line.vector is None else line.vector
        self._row_of[line.id] = row
        if line.thread:
            self._row_at[line.thread, line.place] = row

    def remove(self, id_: int) -> None:
        row = self._row_of.pop(id_, None)
        if row is None:
            return
        self._row_at.pop((int(self.threads[row]), int(self.places[row])), None)
        self._size = last = self._size - 1
        if row != last:
            for column in (self.ids, self.threads, self.places, self.speakers, self._vectors):
                column[row] = column[last]
            self._row_of[int(self.ids[row])] = row
            if self.threads[row]:
                self._row_at[int(self.threads[row]), int(self.places[row])] = row
        self._vectors[last] = 0

    def rows(self, ids: Iterable[int]) -> list[int]:
        """Of those of `ids` that are here, in their order."""
        found = (self._row_of.get(id_) for id_ in ids)
        return [row for row in found if row is not None]

    def nearest(
        self, vector: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Rows and cosines of the `limit` nearest that share any meaning."""
        cosines = self._vectors[: self._size] @ vector
        rows = np.argpartition(-cosines, limit)[:limit] if self._size > limit else np.arange(self._size)
        rows = rows[cosines[rows] > 0]
        return rows, cosines[rows].astype(np.float64)

    def beside(self, rows: Iterable[int]) -> set[int]:
        """Rows up to two places away in the same thread."""
        near: set[int] = set()
        for row in rows:
            thread, place = int(self.threads[row]), int(self.places[row])
            for step in _NEAR:
                other = self._row_at.get((thread, place + step))
                if other is not None:
                    near.add(other)
        return near

    def _make_room(self) -> None:
        if self._size < len(self.ids):
            return
        room = 2 * len(self.ids)
        for name in ("ids", "threads", "places", "speakers"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(room - len(column), column.dtype)]))
        more = np.zeros((room - len(self._vectors), self._width), np.float32)
        self._vectors = np.concatenate([self._vectors, more])
