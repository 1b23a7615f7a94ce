"""The bytes of an agent's answer, passed on as they come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import aiohttp

from innkeeper.kernel.errors import AgentFailed


class AnswerStream(AsyncIterator[bytes]):
    """Ends with the answer, or raises AgentFailed when it is cut off or lasts past `timeout_seconds`.

    An object and not a generator: `aclose` lets go of the answer, and of what `holding` holds, even when
    nothing was read.
    """

    def __init__(self, answer: aiohttp.ClientResponse, holding: ExitStack, timeout_seconds: float) -> None:
        self._answer = answer
        self._holding = holding
        self._deadline = asyncio.get_running_loop().time() + timeout_seconds

    async def __anext__(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._deadline):
                chunk = await self._answer.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            await self.aclose()
            raise AgentFailed("The agent's answer was cut off") from error
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Idempotent. A connection whose answer was not read to its end is closed: the agent sees it."""
        self._answer.close()
        self._holding.close()
