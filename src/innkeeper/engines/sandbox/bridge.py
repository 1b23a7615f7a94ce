"""A client's WebSocket and one to a server inside a sandbox, joined."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import aiohttp
from aiohttp import WSMsgType
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from innkeeper.kernel.errors import InnkeeperError, Unauthorized

_GOING_AWAY, _TOO_BIG = 1001, 1009


async def join(
    socket: WebSocket,
    upstream: aiohttp.ClientWebSocketResponse,
    message_max_bytes: int,
    timeout_seconds: float,
) -> None:
    """Pass messages both ways until one side closes, or the time is over. A client's message that is too
    large closes its socket with 1009; those from inside are bounded by `upstream` itself."""
    await until_first_ends(
        timeout_seconds, _inwards(socket, upstream, message_max_bytes), _outwards(upstream, socket)
    )


async def until_first_ends(timeout_seconds: float, *parts: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def close(socket: WebSocket, code: int) -> None:
    """Idempotent."""
    try:
        await socket.close(code)
    except (RuntimeError, WebSocketDisconnect):
        return  # the client was first


async def deny(socket: WebSocket, error: InnkeeperError) -> None:
    """Answer the handshake with the failure, as an HTTP answer."""
    shown = {"x-amzn-errortype": error.code}
    if isinstance(error, Unauthorized):
        shown["www-authenticate"] = error.challenge
    await socket.send_denial_response(JSONResponse({"message": error.message}, error.status, shown))


async def _inwards(
    socket: WebSocket, upstream: aiohttp.ClientWebSocketResponse, message_max_bytes: int
) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            await upstream.close(code=message.get("code") or 1000)
            return None
        text = message.get("text")
        data: bytes = message["bytes"] if text is None else text.encode()
        if len(data) > message_max_bytes:
            return await close(socket, _TOO_BIG)
        if text is None:
            await upstream.send_bytes(data)
        else:
            await upstream.send_str(text)


async def _outwards(upstream: aiohttp.ClientWebSocketResponse, socket: WebSocket) -> None:
    while True:
        message = await upstream.receive()
        if message.type is WSMsgType.TEXT:
            await socket.send_text(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        else:
            gone = message.type is not WSMsgType.CLOSE
            return await close(socket, _GOING_AWAY if gone else message.data or 1000)
