"""What must not be under way while something else is: it passes a barrier, which the other shuts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Barrier:
    def __init__(self) -> None:
        self._passing = 0
        self._shut = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._shut)
            self._passing += 1
        try:
            yield
        finally:
            self._passing -= 1
            await self._tell()

    @asynccontextmanager
    async def shut(self, patience_seconds: float) -> AsyncIterator[None]:
        """Once nobody is passing; by one at a time. Raises TimeoutError."""
        self._shut = True
        try:
            async with asyncio.timeout(patience_seconds), self._changed:
                await self._changed.wait_for(lambda: self._passing == 0)
            yield
        finally:
            self._shut = False
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
