"""An array to which rows are added."""

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.generic)


class Growing(Generic[_Number]):
    """`rows` are those that were added: the array itself, to be changed in place, until the next are."""

    def __init__(self, kind: type[_Number], width: int | None = None) -> None:
        self._room: NDArray[_Number] = np.zeros(16 if width is None else (16, width), kind)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> NDArray[_Number]:
        return self._room[: self._size]

    @property
    def bytes(self) -> int:
        return self._room.nbytes

    def add(self, rows: NDArray[Any]) -> None:
        size = self._size + len(rows)
        if size > len(self._room):
            more = max(size, len(self._room) + len(self._room) // 2)
            room = np.zeros((more, *self._room.shape[1:]), self._room.dtype)
            room[: self._size] = self.rows
            self._room = room
        self._room[self._size : size] = rows
        self._size = size

    def clear(self) -> None:
        self._size = 0
