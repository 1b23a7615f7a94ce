"""Keeping the index of turns and records up to date: one worker, which looks for changes when the bell rings,
and twice a second.

Of the servers on one database one takes in at a time, a batch each: what it read of a row is what it puts,
before another reads that row again. So no older state comes after a newer one, nor after an erasure.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress

from innkeeper.engines.search.search import Passage, Search
from innkeeper.engines.store.database import Database
from innkeeper.kernel.errors import Unavailable
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.recall import index_store, passages
from innkeeper.services.memory.recall.index_store import Kind, Shelf
from innkeeper.services.memory.recall.vectors import Vectors

_BATCH = 64
_GONE_BATCH = 500
_LOOK_SECONDS = 0.5
# So long it waits for more when there is little: a batch costs the same for one change as for many.
_GATHER_SECONDS = 0.02
_CLAIM = 0x1_4DE7
_CLAIM_SECONDS = 60.0
_RETRY_SECONDS = 2.0
_SETTLE_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Index:
    def __init__(
        self,
        database: Database,
        search: Search,
        vectors: Vectors,
        bell: Bell,
        settle_seconds: float = _SETTLE_SECONDS,
    ) -> None:
        self._database = database
        self._search = search
        self._vectors = vectors
        self._bell = bell
        self._settle_seconds = settle_seconds
        self._erased: Counter[tuple[str, str]] = Counter()
        self._idle = asyncio.Condition()
        self._worker: asyncio.Task[None] | None = None

    async def open(self) -> None:
        async with self._database.begin() as connection:
            await index_store.watch(connection)
        async with self._claimed():
            await self._vectors.open()
        self._worker = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker

    async def erase(self, account: str, memory: str) -> None:
        """Leave no byte of what was removed from a memory. Raises Unavailable."""
        await self._let_go(account, memory)
        await self._search.erase(*_shelves(account, memory))

    async def drop(self, account: str, memory: str) -> None:
        """With all that was in it; nothing more is noted of it. Raises Unavailable."""
        await self._let_go(account, memory)
        await self._search.drop(*_shelves(account, memory))

    async def _let_go(self, account: str, memory: str) -> None:
        """Wait until what is there no more is in the index no more. It goes before what is to be taken in:
        that may be a book, or many."""
        place = account, memory
        self._erased[place] += 1
        try:
            async with asyncio.timeout(self._settle_seconds), self._idle:
                while (await self._gone(place))[0]:
                    self._bell.ring()
                    await self._idle.wait()
        except TimeoutError:
            raise Unavailable("The index of this memory is far behind; try again in a minute") from None
        finally:
            self._erased[place] -= 1
            if not self._erased[place]:
                del self._erased[place]

    async def _run(self) -> None:
        while True:
            try:
                async with self._claimed():
                    more = await self._take_in() or await self._vectors.catch_up(self._passages, _BATCH)
            except Exception:
                _log.exception("the index of memories could not be brought up to date; it is tried again")
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            async with self._idle:
                self._idle.notify_all()
            if not more:
                await self._bell.heard(_LOOK_SECONDS)
                await asyncio.sleep(_GATHER_SECONDS)

    def _claimed(self) -> AbstractAsyncContextManager[None]:
        return self._database.claim(_CLAIM, _CLAIM_SECONDS)

    async def _take_in(self) -> bool:
        """One batch; whether there may be more."""
        numbers, shelves = await self._next()
        for shelf, rows in shelves.items():
            found = await self._passages(shelf, rows)
            gone = set(rows).difference(passage.id for passage in found)
            if gone:
                await self._search.remove(shelf.name, gone)
            if found:
                await self._vectors.put(shelf, found)
        if numbers:
            async with self._database.begin() as connection:
                await index_store.forget_changes(connection, numbers)
        return len(numbers) >= _BATCH

    async def _next(self) -> tuple[list[int], dict[Shelf, list[int]]]:
        for place in list(self._erased):
            gone = await self._gone(place)
            if gone[0]:
                return gone
        async with self._database.begin() as connection:
            return await index_store.next_changes(connection, _BATCH)

    async def _gone(self, place: tuple[str, str]) -> tuple[list[int], dict[Shelf, list[int]]]:
        async with self._database.begin() as connection:
            return await index_store.changes_of_gone(connection, *place, _GONE_BATCH)

    async def _passages(self, shelf: Shelf, rows: Sequence[int]) -> list[Passage]:
        """Those that are still there."""
        async with self._database.begin() as connection:
            if shelf.kind is Kind.TURN:
                return list(map(passages.of_turn, await index_store.said(connection, shelf, rows)))
            if shelf.kind is Kind.CHUNK:
                return list(map(passages.of_chunk, await index_store.written(connection, shelf, rows)))
            return list(map(passages.of_record, await index_store.remembered(connection, shelf, rows)))


def _shelves(account: str, memory: str) -> list[str]:
    return [Shelf(account, memory, kind).name for kind in Kind]
