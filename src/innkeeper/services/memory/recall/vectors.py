"""Vectors of all that is in the index, by the embedder in use: made anew when the embedder is another one."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from time import monotonic

from innkeeper.engines.embedders.embedder import Embedder, EmbedderError
from innkeeper.engines.search.search import Passage, Search
from innkeeper.engines.store.database import Database
from innkeeper.services.memory.recall import passages, vectors_store
from innkeeper.services.memory.recall.index_store import Kind, Shelf

_AGAIN_SECONDS = 30.0

PassagesOf = Callable[[Shelf, Sequence[int]], Awaitable[Sequence[Passage]]]

_log = logging.getLogger(__name__)


class Vectors:
    """What has none is found by its words alone meanwhile."""

    def __init__(
        self,
        database: Database,
        search: Search,
        embedder: Embedder,
        again_seconds: float = _AGAIN_SECONDS,
    ) -> None:
        self._database = database
        self._search = search
        self._embedder = embedder
        self._again_seconds = again_seconds
        self._silent_until = 0.0

    async def open(self) -> None:
        """Forget those of another model. A crash on the way repeats it."""
        for kind in Kind:
            async with self._database.begin() as connection:
                lack = await vectors_store.find_lack(connection, kind)
                if lack is not None and lack.model == self._embedder.model:
                    continue
                shelves = await vectors_store.all_shelves(connection, kind)
            for shelf in shelves:
                await self._search.forget_vectors(shelf.name)
            async with self._database.begin() as connection:
                await vectors_store.begin_anew(connection, kind, self._embedder.model)

    async def put(self, shelf: Shelf, found: Sequence[Passage]) -> None:
        """Into the index, with vectors where they can be had; where not, they follow later."""
        if monotonic() >= self._silent_until and await self._put_whole(shelf, found):
            return
        rows = [passage.id for passage in found]
        async with self._database.begin() as connection:
            await vectors_store.lack_row(connection, shelf.kind, min(rows), max(rows))
        await self._search.put(shelf.name, found)

    async def catch_up(self, passages_of: PassagesOf, limit: int) -> bool:
        """The next of those that have none; False when there are none, or the embedder does not answer."""
        for kind in Kind if monotonic() >= self._silent_until else ():
            async with self._database.begin() as connection:
                lack = await vectors_store.find_lack(connection, kind)
                if lack is None or lack.done >= lack.until:
                    continue
                shelves = await vectors_store.rows_lacking(connection, kind, lack, limit)
            for shelf, rows in shelves.items():
                found = await passages_of(shelf, rows)
                if found and not await self._put_whole(shelf, found):
                    return False
            done = max((rows[-1] for rows in shelves.values()), default=lack.until)
            async with self._database.begin() as connection:
                await vectors_store.have_until(connection, kind, done)
            return True
        return False

    async def lacking(self, account: str, memory: str) -> int:
        """How many turns and records of a memory have no vector yet."""
        count = 0
        async with self._database.begin() as connection:
            for kind in Kind:
                if lack := await vectors_store.find_lack(connection, kind):
                    count += await vectors_store.count_lacking(connection, Shelf(account, memory, kind), lack)
        return count

    async def _put_whole(self, shelf: Shelf, found: Sequence[Passage]) -> bool:
        """False when the embedder has no vectors for them."""
        try:
            vectors = await self._embedder.embed(list(map(passages.meaning_of, found)))
            whole = [replace(passage, vector=vector) for passage, vector in zip(found, vectors, strict=True)]
            await self._search.put(shelf.name, whole)
        except EmbedderError as error:
            if not self._silent_until:
                _log.warning("memories are searched by words alone: %s", error)
            self._silent_until = monotonic() + self._again_seconds
            return False
        self._silent_until = 0.0
        return True
