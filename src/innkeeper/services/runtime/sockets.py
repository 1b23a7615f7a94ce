"""WebSockets to agents (`/runtimes/{arn}/ws`) and to shells in sessions (`/runtimes/{arn}/ws/shells`)."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import WSMsgType
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import AgentFailed, InnkeeperError, Unauthorized
from innkeeper.services.runtime import headers
from innkeeper.services.runtime.access import Access
from innkeeper.services.runtime.invocation import Invocations
from innkeeper.services.runtime.session import Session
from innkeeper.services.runtime.shells import FRAME_MAX_BYTES, Shell, Shells

Authenticate = Callable[[HTTPConnection], Awaitable[Caller | None]]
"""The SigV4 caller of a handshake; None when it is not signed. Raises AccessDenied."""

Authorize = Callable[[Caller, str, Document], Awaitable[None]]
"""May this caller do this operation with these parameters? Raises AccessDenied."""

SHELL_ID_HEADER = "X-Amzn-Bedrock-AgentCore-Shell-Id"
_REPLACED, _GOING_AWAY = 4000, 1001
_BEARER_SUBPROTOCOL = "base64UrlBearerAuthorization"


class Sockets:
    def __init__(
        self,
        access: Access,
        invocations: Invocations,
        shells: Shells,
        authenticate: Authenticate,
        authorize: Authorize,
        stream_timeout_seconds: float,
    ) -> None:
        self._access = access
        self._invocations = invocations
        self._shells = shells
        self._authenticate = authenticate
        self._authorize = authorize
        self._stream_timeout_seconds = stream_timeout_seconds

    async def agent(self, socket: WebSocket) -> None:
        """Pass messages both ways between the client and the agent's own `/ws`."""
        try:
            call, params = await self._admit(socket, "InvokeAgentRuntimeWithWebSocketStream")
            target, session = await self._invocations.open(call, params)
            with session.use():
                upstream = await _connect(session, self._invocations.headers(call, target, session, params))
        except InnkeeperError as error:
            await _deny(socket, error)
            return
        async with upstream:
            with session.use():
                await socket.accept(*_accepted(socket, {headers.SESSION: session.key.session_id}))
                await self._until_first_ends(_to_agent(socket, upstream), _to_client(upstream, socket))

    async def shell(self, socket: WebSocket) -> None:
        """Attach the client to a shell, a new one or one that it left before."""
        try:
            call, params = await self._admit(socket, "InvokeAgentRuntimeCommandShell")
            _, session = await self._invocations.open(call, params)
            with session.use():
                shell, reconnected = await self._shells.open(session, socket.query_params.get("shellId"))
        except InnkeeperError as error:
            await _deny(socket, error)
            return
        shown = {headers.SESSION: session.key.session_id, SHELL_ID_HEADER: shell.id}
        with session.use():
            await socket.accept(*_accepted(socket, shown))
            replaced = await shell.attach(socket.send_bytes, reconnected)
            await self._until_first_ends(
                _serve_shell(socket, shell), _close_when(replaced, socket, _REPLACED), shell.ended.wait()
            )
            if not replaced.is_set():
                await _close(socket, 1000)

    async def _admit(self, socket: WebSocket, operation: str) -> tuple[Call, Document]:
        session_id = _given(socket, headers.SESSION)
        params: Document = {
            "agentRuntimeArn": socket.path_params["arn"],
            "qualifier": socket.query_params.get("qualifier"),
            "runtimeSessionId": session_id or str(uuid4()),
            "runtimeUserId": _given(socket, "X-Amzn-Bedrock-AgentCore-Runtime-User-Id"),
            "traceParent": socket.headers.get("traceparent"),
            "baggage": socket.headers.get("baggage"),
        }
        caller = await self._authenticate(socket)
        if caller is None:
            caller = await self._access.bearer(params, _bearer_token(socket), socket.headers)
        else:
            await self._authorize(caller, operation, params)
        return Call(caller, str(uuid4()), socket.headers), params

    async def _until_first_ends(self, *parts: Coroutine[Any, Any, Any]) -> None:
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.wait(
                tasks, timeout=self._stream_timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _connect(session: Session, sent: dict[str, str]) -> aiohttp.ClientWebSocketResponse:
    try:
        return await session.http.ws_connect(
            session.url("/ws"), headers=sent, max_msg_size=FRAME_MAX_BYTES, autoclose=False
        )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise AgentFailed("The agent does not accept WebSockets on /ws") from error


async def _to_agent(socket: WebSocket, upstream: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            await upstream.close(code=message.get("code") or 1000)
            return
        if (text := message.get("text")) is not None:
            await upstream.send_str(text)
        else:
            await upstream.send_bytes(message["bytes"])


async def _to_client(upstream: aiohttp.ClientWebSocketResponse, socket: WebSocket) -> None:
    while True:
        message = await upstream.receive()
        if message.type is WSMsgType.TEXT:
            await socket.send_text(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        else:
            gone = message.type is not WSMsgType.CLOSE
            return await _close(socket, _GOING_AWAY if gone else message.data or 1000)


async def _serve_shell(socket: WebSocket, shell: Shell) -> None:
    try:
        while await shell.receive(await socket.receive_bytes()):
            pass
        await shell.close()
    except (WebSocketDisconnect, InnkeeperError, ConnectionError):
        shell.detach(socket.send_bytes)


async def _close_when(event: asyncio.Event, socket: WebSocket, code: int) -> None:
    await event.wait()
    await _close(socket, code)


async def _close(socket: WebSocket, code: int) -> None:
    try:
        await socket.close(code)
    except (RuntimeError, WebSocketDisconnect):
        return  # the client was first


async def _deny(socket: WebSocket, error: InnkeeperError) -> None:
    shown = {"x-amzn-errortype": error.code}
    if isinstance(error, Unauthorized):
        shown["www-authenticate"] = error.challenge
    await socket.send_denial_response(JSONResponse({"message": error.message}, error.status, shown))


def _accepted(socket: WebSocket, shown: dict[str, str]) -> tuple[str | None, list[tuple[bytes, bytes]]]:
    offered = _BEARER_SUBPROTOCOL in socket.scope.get("subprotocols", ())
    subprotocol = _BEARER_SUBPROTOCOL if offered else None
    return subprotocol, [(name.lower().encode(), value.encode()) for name, value in shown.items()]


def _given(socket: WebSocket, name: str) -> str | None:
    """Browsers cannot set headers on a WebSocket: the query may say the same."""
    return socket.headers.get(name) or socket.query_params.get(name)


def _bearer_token(socket: WebSocket) -> str | None:
    scheme, _, token = socket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    for subprotocol in socket.scope.get("subprotocols", ()):
        name, _, encoded = subprotocol.partition(".")
        if name == _BEARER_SUBPROTOCOL and encoded:
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, ValueError):
                return None
    return None
