"""Search on SQLite: a file for each shelf in a folder, opened when it is needed."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.search.search import Candidates, Passage, Scope
from innkeeper.engines.search.sqlite.shelf import SqliteShelf
from innkeeper.engines.search.veil import Veils, unveiled

_Result = TypeVar("_Result")

_OPEN_MOST = 64
_VIEW_BYTES = 128 * 2**20


class _Place:
    """Where a shelf stands, open or not; its lock gives it to one at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.open: SqliteShelf | None = None

    def close(self) -> None:
        if self.open is not None:
            self.open.close()
            self.open = None


class SqliteSearch:
    """`open_most` shelves are kept open, with up to `view_bytes` of each in memory."""

    def __init__(
        self,
        folder: Path,
        veils: Veils = unveiled,
        open_most: int = _OPEN_MOST,
        view_bytes: int = _VIEW_BYTES,
    ) -> None:
        self._folder = folder
        self._veils = veils
        self._open_most = open_most
        self._view_bytes = view_bytes
        self._places: OrderedDict[str, _Place] = OrderedDict()

    async def put(self, shelf: str, passages: Sequence[Passage]) -> None:
        veil = await self._veils(shelf)
        await self._on(shelf, lambda open_: open_.put(passages, veil))

    async def remove(self, shelf: str, ids: Collection[int]) -> None:
        await self._on(shelf, lambda open_: open_.remove(ids))

    async def candidates(
        self, shelf: str, scope: Scope, query: str, vector: NDArray[np.float32] | None, limit: int
    ) -> Candidates:
        veil = await self._veils(shelf)
        return await self._on(shelf, lambda open_: open_.candidates(scope, query, vector, limit, veil))

    async def forget_vectors(self, shelf: str) -> None:
        await self._on(shelf, SqliteShelf.forget_vectors)

    async def erase(self, *shelves: str) -> None:
        for shelf in shelves:
            await self._on(shelf, SqliteShelf.erase)

    async def drop(self, *shelves: str) -> None:
        for shelf in shelves:
            place = self._place(shelf)
            async with place.lock:
                await _in_thread(partial(self._remove, shelf, place))

    async def close(self) -> None:
        for place in list(self._places.values()):
            async with place.lock:
                await _in_thread(place.close)

    async def _on(self, shelf: str, work: Callable[[SqliteShelf], _Result]) -> _Result:
        place = self._place(shelf)
        async with place.lock:
            return await _in_thread(partial(self._work, shelf, place, work))

    def _work(self, shelf: str, place: _Place, work: Callable[[SqliteShelf], _Result]) -> _Result:
        if place.open is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            place.open = SqliteShelf(self._path(shelf), self._view_bytes)
        return work(place.open)

    def _remove(self, shelf: str, place: _Place) -> None:
        place.close()
        path = self._path(shelf)
        for suffix in ("-wal", "-shm", ""):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _place(self, shelf: str) -> _Place:
        """Made the latest one; who was not used for long and is not at work is closed for it."""
        place = self._places.setdefault(shelf, _Place())
        self._places.move_to_end(shelf)
        for other in list(self._places)[: -self._open_most]:
            if not self._places[other].lock.locked():
                self._places.pop(other).close()
        return place

    def _path(self, shelf: str) -> Path:
        return self._folder / f"{sha256(shelf.encode()).hexdigest()}.db"


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """To its end: whoever is cancelled waits for it too. SQLite does not survive that a connection is closed
    while another thread is in it."""
    done = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(done)
    finally:
        while not done.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([done])
