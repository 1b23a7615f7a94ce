"""A model server on a loopback port that answers from a script and remembers what it was asked."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.engines.models.scripted.script import Fails, Fault, Raw, Says, Step
from tests.engines.models.scripted.serving import serving

Document = dict[str, Any]


@dataclass(frozen=True)
class Received:
    """`path` as it came, still encoded; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Document


class ScriptedServer(ABC):
    """Each request takes the next step; the last step answers all that follow."""

    stream_type = "text/event-stream"

    def __init__(self, *script: Step) -> None:
        self.requests: list[Received] = []
        self._script = list(script)
        self._closing = asyncio.Event()
        self._running = AsyncExitStack()
        self._url = ""

    @property
    def url(self) -> str:
        """What a driver takes as its `base_url`."""
        return self._url

    async def __aenter__(self) -> Self:
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["POST"])])
        self._url = await self._running.enter_async_context(serving(app))
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        await self._running.aclose()

    def step(self, _request: Received) -> Step:
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    async def _answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode()
        received = Received(path, dict(request.headers), await request.json())
        self.requests.append(received)
        step = self.step(received)
        if not isinstance(step, Says | Fails | Raw):
            step = step(received.body)
        if isinstance(step, Fails):
            return self.failure(step)
        if isinstance(step, Raw):
            media_type = self.stream_type if self.streams(received) else "application/json"
            return Response(step.body, media_type=media_type)
        if step.fault is Fault.SILENT:
            await self._closing.wait()
        if self.streams(received):
            return StreamingResponse(self._stream(step), media_type=self.stream_type)
        if step.fault is Fault.GARBAGE:
            return Response("this is no JSON", media_type="application/json")
        return Response(json.dumps(self.document(step)), media_type="application/json")

    async def _stream(self, step: Says) -> AsyncIterator[bytes]:
        frames = self.frames(step)
        if step.fault is None:
            for frame in frames:
                yield frame
            return
        for frame in frames[: len(frames) // 2]:
            yield frame
        if step.fault is Fault.GARBAGE:
            yield self.garbage
        if step.fault is Fault.CUT:
            # Let the first half arrive, so that the cut is seen in the middle.
            await asyncio.sleep(0.05)
            raise ConnectionAbortedError("cut, as the script says")

    garbage = b"event: content_block_delta\ndata: {this is no JSON\n\n"

    @abstractmethod
    def streams(self, request: Received) -> bool: ...

    @abstractmethod
    def document(self, answer: Says) -> Document: ...

    @abstractmethod
    def frames(self, answer: Says) -> list[bytes]: ...

    @abstractmethod
    def failure(self, step: Fails) -> Response: ...


def server_sent_event(document: Document, event: str = "") -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(document)}\n\n".encode()
