"""Carries the connections made to a port inside a sandbox to an address outside."""

import asyncio
import contextlib
import socket

from innkeeper.engines.sandbox.sandbox import Relay

CONNECTIONS_MAX = 256
CONNECT_TIMEOUT_SECONDS = 10.0
_CHUNK_BYTES = 65_536


class RelayServer:
    """Accepts on `listener`, a socket to which the sandbox's connections come, until `close`."""

    def __init__(self, listener: socket.socket, relay: Relay) -> None:
        self._listener = listener
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(CONNECTIONS_MAX)
        self._tasks = {self._loop.create_task(self._accept())}

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        while True:
            await self._places.acquire()
            try:
                inside, _ = await self._loop.sock_accept(self._listener)
            except OSError:  # out of descriptors, or the peer left at once: neither ends the relay
                self._places.release()
                await asyncio.sleep(0.1)
                continue
            task = self._loop.create_task(self._carry(inside))
            self._tasks.add(task)
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _carry(self, inside: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.enter_context(inside)
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                outside = stack.enter_context(await self._connect())
            for end in (inside, outside):
                end.setblocking(False)
                if end.family != socket.AF_UNIX:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(inside, outside))
                    group.create_task(self._pump(outside, inside))
            except* OSError:
                pass  # one side broke off: so does the other

    async def _connect(self) -> socket.socket:
        found = await self._loop.getaddrinfo(self._relay.host, self._relay.host_port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        outside = socket.socket(family, kind, protocol)
        outside.setblocking(False)
        try:
            if self._relay.source:
                outside.bind((self._relay.source, 0))
            await self._loop.sock_connect(outside, address)
        except BaseException:
            outside.close()
            raise
        return outside

    async def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        while data := await self._loop.sock_recv(source, _CHUNK_BYTES):
            await self._loop.sock_sendall(sink, data)
        sink.shutdown(socket.SHUT_WR)
