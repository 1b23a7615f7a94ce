"""The name server of a sandbox: its sockets are in the sandbox's network, and we answer.

It speaks for the list: names that are not on it are not there, and nothing is asked of anybody about them, so
that no message can leave in a name.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from typing import cast

from innkeeper.engines.sandbox.egress import messages
from innkeeper.engines.sandbox.egress.listing import is_name, plain
from innkeeper.engines.sandbox.egress.messages import Query
from innkeeper.engines.sandbox.egress.resolver import NoSuchName
from innkeeper.engines.sandbox.sandbox import SandboxError

TTL_SECONDS = 60
LOOK_UPS_MAX = 4
"""Names of one sandbox that are looked up at a time."""
WAITING_MAX = 64
"""Queries of one sandbox by UDP that wait for an answer; more are dropped, and come again."""
STREAM_TIMEOUT_SECONDS = 10.0

LookUp = Callable[[str], Awaitable[Sequence[IPv4Address]]]
"""The addresses of a name. Raises NoSuchName, OSError, TimeoutError or SandboxError."""


class NameServer:
    """`allows` says whether a name is on the list."""

    def __init__(self, allows: Callable[[str], bool], look_up: LookUp) -> None:
        self._allows = allows
        self._look_up = look_up
        self._look_ups = asyncio.Semaphore(LOOK_UPS_MAX)

    async def serve(self, datagrams: socket.socket, streams: socket.socket, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._answer), sock=datagrams
        )
        stack.push_async_callback(protocol.close)
        stack.callback(transport.close)
        server = await asyncio.start_server(self._converse, sock=streams)
        stack.callback(server.close)

    async def _answer(self, message: bytes) -> bytes | None:
        """Nothing for what is no query."""
        try:
            query = Query.of(message)
        except ValueError:
            return None
        name = plain(query.name)
        if not is_name(name) or not self._allows(name):
            return query.answer(messages.NO_SUCH_NAME)
        if query.kind != messages.A:
            return query.answer(messages.FINE)
        try:
            async with self._look_ups:
                addresses = await self._look_up(name)
        except NoSuchName:
            return query.answer(messages.NO_SUCH_NAME)
        except (OSError, TimeoutError, SandboxError):
            return query.answer(messages.FAILED)
        return query.answer(messages.FINE, addresses, TTL_SECONDS)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each message has its length before it (RFC 1035, 4.2.2)."""
        with contextlib.suppress(OSError, EOFError, TimeoutError), contextlib.closing(writer):
            while True:
                async with asyncio.timeout(STREAM_TIMEOUT_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2))
                    message = await reader.readexactly(length)
                answer = await self._answer(message)
                if answer is None:
                    return
                writer.write(len(answer).to_bytes(2) + answer)
                async with asyncio.timeout(STREAM_TIMEOUT_SECONDS):
                    await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes], Awaitable[bytes | None]]) -> None:
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # those of uvloop are none by name

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(self._tasks) < WAITING_MAX and len(data) <= messages.MESSAGE_MAX_BYTES:
            task = asyncio.create_task(self._reply(data, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reply(self, message: bytes, asker: tuple[str, int]) -> None:
        answer = await self._answer(message)
        if answer is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, asker)
