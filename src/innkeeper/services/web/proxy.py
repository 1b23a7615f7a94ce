"""There and back: a request to a service inside a sandbox, and its answer as it comes."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict
from starlette.types import Message, Receive, Send
from starlette.websockets import WebSocket
from yarl import URL

from innkeeper.engines.sandbox.bridge import join
from innkeeper.engines.sandbox.client import Unreachable, sandbox_client
from innkeeper.engines.sandbox.sandbox import Sandbox
from innkeeper.kernel.errors import (
    BadGateway,
    GatewayTimeout,
    InnkeeperError,
    InvalidRequest,
    PayloadTooLarge,
)
from innkeeper.services.web.admission import Header
from innkeeper.services.web.headers import outwards
from innkeeper.services.web.model import Rules, Site

_METHOD = re.compile("[A-Z]{1,32}")
_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Errand:
    """What is asked of the service: `target` is path and query, percent-encoded."""

    sandbox: Sandbox
    site: Site
    method: str
    target: str
    headers: list[Header]
    host: str

    @property
    def url(self) -> URL:
        return URL(f"http://127.0.0.1:{self.site.port}{self.target}", encoded=True)


class Proxy:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    async def http(self, errand: Errand, receive: Receive, send: Send, extra: list[Header]) -> None:
        """Answer with what the service answers, and `extra` headers. Raises InnkeeperError as long as nothing
        was sent; an answer that is cut off later stays unfinished, as a sign of it."""
        if not _METHOD.fullmatch(errand.method) or errand.method == "CONNECT":
            raise InvalidRequest(f"{errand.method[:32]} cannot be passed on")
        body = _Body(errand.headers, receive, self._rules.body_bytes)
        async with sandbox_client(errand.sandbox) as client:
            working = asyncio.create_task(self._http(client, errand, body, send, extra))
            leaving = asyncio.create_task(body.client_gone())
            try:
                async with asyncio.timeout(self._rules.stream_seconds):
                    await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            except TimeoutError:
                pass  # the answer stays unfinished
            finally:
                working.cancel()
                leaving.cancel()
                await asyncio.wait((working, leaving))
        if not working.cancelled():
            working.result()

    async def websocket(self, errand: Errand, socket: WebSocket) -> None:
        """Join the client's socket, not yet accepted, with one of the service. Raises BadGateway,
        GatewayTimeout; then it still is not."""
        offered = tuple(socket.scope.get("subprotocols", ()))
        async with sandbox_client(errand.sandbox) as client:
            try:
                async with asyncio.timeout(self._rules.answer_seconds):
                    upstream = await client.ws_connect(
                        errand.url,
                        headers=CIMultiDict(errand.headers),
                        protocols=offered,
                        max_msg_size=self._rules.message_bytes,
                        autoclose=False,
                    )
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise _failure(error, errand, self._rules.answer_seconds) from error
            async with upstream:
                await socket.accept(upstream.protocol)
                await join(socket, upstream, self._rules.message_bytes, self._rules.stream_seconds)

    async def _http(
        self, client: aiohttp.ClientSession, errand: Errand, body: "_Body", send: Send, extra: list[Header]
    ) -> None:
        try:
            content = await body.content()
            async with asyncio.timeout(self._rules.answer_seconds):
                answer = await client.request(
                    errand.method,
                    errand.url,
                    headers=CIMultiDict(errand.headers),
                    data=content,
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise body.failure or _failure(error, errand, self._rules.answer_seconds) from error
        async with answer:
            await send(_start(answer, errand, extra))
            try:
                while chunk := await answer.content.readany():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except aiohttp.ClientError:
                return
            await send({"type": "http.response.body", "body": b""})


class _Body:
    """A request's body as it arrives. `failure` is why it could not be passed on to its end."""

    def __init__(self, headers: list[Header], receive: Receive, limit_bytes: int) -> None:
        length = next((value for name, value in headers if name == "content-length"), "0")
        if not length.isdecimal() or int(length) > limit_bytes:
            raise _too_large(limit_bytes)
        self.failure: InnkeeperError | None = None
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._size = 0
        self._over = asyncio.Event()

    async def content(self) -> AsyncIterator[bytes] | bytes | None:
        """Whole, if it is here already; else piece by piece."""
        first, more = await self._next()
        return self._pieces(first) if more else first or None

    async def client_gone(self) -> None:
        """Return once the client has left."""
        await self._over.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _pieces(self, first: bytes) -> AsyncIterator[bytes]:
        piece, more = first, True
        while more:
            if piece:
                yield piece
            piece, more = await self._next()
        yield piece

    async def _next(self) -> tuple[bytes, bool]:
        message = await self._receive()
        piece: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        self._size += len(piece)
        if not more:  # or the client has left
            self._over.set()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        if self._size > self._limit_bytes:
            self.failure = _too_large(self._limit_bytes)
            raise self.failure
        return piece, more


def _start(answer: aiohttp.ClientResponse, errand: Errand, extra: list[Header]) -> Message:
    if not 200 <= answer.status <= 599:
        raise BadGateway(f"The service on port {errand.site.port} answered with status {answer.status}")
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers]
    headers = [*outwards(pairs, errand.site, errand.host), *extra]
    if answer.status in _WITHOUT_BODY:
        headers = [(name, value) for name, value in headers if name != "content-length"]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"type": "http.response.start", "status": answer.status, "headers": encoded}


def _failure(error: Exception, errand: Errand, seconds: float) -> InnkeeperError:
    port = errand.site.port
    if isinstance(error, TimeoutError):
        return GatewayTimeout(f"The service on port {port} did not begin to answer within {seconds:g} s")
    if isinstance(error, Unreachable):
        return BadGateway(str(error))
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return BadGateway(f"The service on port {port} does not accept this WebSocket: {error.status}")
    return BadGateway(f"The service on port {port} closed the connection, or answered no valid HTTP")


def _too_large(limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body must be at most {limit_bytes} bytes")
