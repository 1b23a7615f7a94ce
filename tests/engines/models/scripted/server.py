"""A model server on a loopback port that answers from a script and remembers what it was asked."""

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.engines.models.scripted.script import Fails, Fault, Raw, Says, Step

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
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["POST"])])
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """What a driver takes as its `base_url`."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        # The socket listens already: what connects before the server has started waits for it.
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.should_exit = True
        if self._serving:
            await self._serving

    async def _answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode()
        received = Received(path, dict(request.headers), await request.json())
        self.requests.append(received)
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
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
