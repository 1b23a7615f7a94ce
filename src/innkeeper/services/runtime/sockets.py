"""WebSockets to agents (`/runtimes/{arn}/ws`) and to shells in sessions (`/runtimes/{arn}/ws/shells`)."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aiohttp
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from innkeeper.engines.sandbox.bridge import close, deny, join, until_first_ends
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import AgentFailed, InnkeeperError
from innkeeper.services.runtime import headers
from innkeeper.services.runtime.access import Access
from innkeeper.services.runtime.invocation import Invocations
from innkeeper.services.runtime.session import Session
from innkeeper.services.runtime.shells import Shell, Shells

Authenticate = Callable[[HTTPConnection], Awaitable[Caller | None]]
"""The SigV4 caller of a handshake; None when it is not signed. Raises AccessDenied."""

Authorize = Callable[[Caller, str, Document], Awaitable[None]]
"""May this caller do this operation with these parameters? Raises AccessDenied."""

SHELL_ID_HEADER = "X-Amzn-Bedrock-AgentCore-Shell-Id"
_REPLACED = 4000
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
        frame_max_bytes: int,
    ) -> None:
        self._access = access
        self._invocations = invocations
        self._shells = shells
        self._authenticate = authenticate
        self._authorize = authorize
        self._stream_timeout_seconds = stream_timeout_seconds
        self._frame_max_bytes = frame_max_bytes

    async def agent(self, socket: WebSocket) -> None:
        """Pass messages both ways between the client and the agent's own `/ws`."""
        try:
            call, params = await self._admit(socket, "InvokeAgentRuntimeWithWebSocketStream")
            target, session = await self._invocations.open(call, params)
            with session.use():
                sent = self._invocations.headers(call, target, session, params)
                upstream = await _connect(session, sent, self._frame_max_bytes)
        except InnkeeperError as error:
            await deny(socket, error)
            return
        async with upstream:
            with session.use():
                await socket.accept(*_accepted(socket, {headers.SESSION: session.key.session_id}))
                await join(socket, upstream, self._frame_max_bytes, self._stream_timeout_seconds)

    async def shell(self, socket: WebSocket) -> None:
        """Attach the client to a shell, a new one or one that it left before."""
        try:
            call, params = await self._admit(socket, "InvokeAgentRuntimeCommandShell")
            _, session = await self._invocations.open(call, params)
            with session.use():
                shell, reconnected = await self._shells.open(session, socket.query_params.get("shellId"))
        except InnkeeperError as error:
            await deny(socket, error)
            return
        shown = {headers.SESSION: session.key.session_id, SHELL_ID_HEADER: shell.id}
        with session.use():
            await socket.accept(*_accepted(socket, shown))
            replaced = await shell.attach(socket.send_bytes, reconnected)
            await until_first_ends(
                self._stream_timeout_seconds,
                _serve_shell(socket, shell),
                _close_when(replaced, socket, _REPLACED),
                shell.ended.wait(),
            )
            if not replaced.is_set():
                await close(socket, 1000)

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


async def _connect(
    session: Session, sent: dict[str, str], frame_max_bytes: int
) -> aiohttp.ClientWebSocketResponse:
    try:
        return await session.http.ws_connect(
            session.url("/ws"), headers=sent, max_msg_size=frame_max_bytes, autoclose=False
        )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise AgentFailed("The agent does not accept WebSockets on /ws") from error


async def _serve_shell(socket: WebSocket, shell: Shell) -> None:
    try:
        while await shell.receive(await socket.receive_bytes()):
            pass
        await shell.close()
    except (WebSocketDisconnect, InnkeeperError, ConnectionError):
        shell.detach(socket.send_bytes)


async def _close_when(event: asyncio.Event, socket: WebSocket, code: int) -> None:
    await event.wait()
    await close(socket, code)


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
