"""Answers that come bit by bit: closed when the client leaves, bounded in how long it may take to read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from starlette.types import Receive, Scope, Send

_SEND_SECONDS = 60.0


class Streamed:
    """An ASGI answer. `chunks` is run by one task and closed by it. After `quiet_seconds` without any,
    `quiet` is sent."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        headers: Mapping[str, str],
        quiet: bytes = b"",
        quiet_seconds: float = 0.0,
    ) -> None:
        self._chunks = chunks
        self._headers = headers
        self._quiet = quiet
        self._quiet_seconds = quiet_seconds if quiet else None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        running = asyncio.create_task(self._run(queue))
        sending = asyncio.create_task(self._send(queue, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((running, sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if running.done() and running.exception() is None:
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = (running, sending, leaving)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, queue: asyncio.Queue[bytes | None]) -> None:
        try:
            async for chunk in self._chunks:
                await queue.put(chunk)
        finally:
            close = getattr(self._chunks, "aclose", None)
            if close is not None:
                await close()
        await queue.put(None)

    async def _send(self, queue: asyncio.Queue[bytes | None], send: Send) -> None:
        while True:
            chunk: bytes | None = self._quiet
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._quiet_seconds):
                    chunk = await queue.get()
            body = {"type": "http.response.body", "body": chunk or b"", "more_body": chunk is not None}
            async with asyncio.timeout(_SEND_SECONDS):
                await send(body)
            if chunk is None:
                return


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
