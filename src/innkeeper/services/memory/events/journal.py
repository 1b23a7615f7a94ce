"""One writer for many: what comes at the same time is written in one transaction.

A commit that is on disk costs the same for one row as for hundreds. Whoever comes while one is being made
waits for the next. When a batch fails, each of its items is tried by itself, so that none fails for another.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from innkeeper.kernel.errors import Throttled, Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
Write = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]

_BATCH = 256


class Journal(Generic[Item, Result]):
    """`write` gives, for each item, its result or the failure that is its own; it raises for all of them."""

    def __init__(self, write: Write[Item, Result], queue_max: int, timeout_seconds: float) -> None:
        self._write = write
        self._queue_max = queue_max
        self._timeout_seconds = timeout_seconds
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def put(self, item: Item) -> Result:
        """Durable on return. Raises Throttled when too many wait; Unavailable when it takes too long: then it
        may be written or not."""
        if len(self._waiting) >= self._queue_max:
            raise Throttled("Too many events are waiting to be written; try again in a moment")
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await done
        except TimeoutError:
            raise Unavailable("The database does not take the event in time; try again") from None

    async def close(self) -> None:
        """After what waits is written."""
        while self._writer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._writer), self._timeout_seconds)
                continue
            self._writer.cancel()
            return

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                await self._finish([(item, done) for item, done in batch if not done.done()])
        finally:
            self._writer = None

    async def _finish(self, batch: Sequence[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    await self._finish([one])
                return
            results = [error]
        for (_, done), result in zip(batch, results, strict=True):
            if done.done():
                continue
            if isinstance(result, Exception):
                done.set_exception(result)
            else:
                done.set_result(result)
