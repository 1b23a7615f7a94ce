"""One HTTP exchange over ASGI: the body read within limits, the answer sent chunk by chunk."""

import asyncio
import re
from collections.abc import Coroutine, Mapping
from typing import Any

from starlette.types import Receive, Send

from innkeeper.aws.answer import Answer, close
from innkeeper.aws.errors import RequestTimeout
from innkeeper.kernel.errors import PayloadTooLarge

_NOT_IN_HEADER = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_CANCEL_GRACE_SECONDS = 10.0


class ClientGone(Exception):
    """The client left before its request was whole."""


async def read_body(
    receive: Receive, headers: Mapping[str, str], limit_bytes: int, timeout_seconds: float
) -> bytes:
    """Raises PayloadTooLarge as soon as that is known, RequestTimeout when no more comes, ClientGone."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > limit_bytes:
        raise _too_large(limit_bytes)
    chunks, size, more = [], 0, True
    while more:
        try:
            async with asyncio.timeout(timeout_seconds):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout(f"No more of the body came within {timeout_seconds:g} seconds") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


async def send_answer(send: Send, answer: Answer, request_id: str) -> None:
    """A streamed body's iterator is closed whatever happens; if it fails, the connection ends unfinished."""
    headers = answer.headers | {"x-amzn-requestid": request_id}
    body = answer.body
    if isinstance(body, bytes):
        if answer.status != 204:
            headers["content-length"] = str(len(body))
        await send(_start(answer.status, headers))
        await send({"type": "http.response.body", "body": body})
        return
    try:
        await send(_start(answer.status, headers))
        async for chunk in body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await close(body)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Runs `work`, and cancels it when the client leaves."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait((working, leaving), timeout=_CANCEL_GRACE_SECONDS)
    if working.done() and not working.cancelled():
        working.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    pairs = [
        (name.encode("latin-1"), _NOT_IN_HEADER.sub(" ", value).encode("latin-1", "replace"))
        for name, value in headers.items()
    ]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def _too_large(limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body must be at most {limit_bytes} bytes")
