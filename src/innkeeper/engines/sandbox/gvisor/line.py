"""A line: a socket of the host that a process in a gVisor sandbox holds itself, with no guest agent between.

What goes through the guest agent wakes that up on its way, there and back. A process that wants a line
listens at the abstract Unix socket `line-PID`, where it is handed one with SCM_RIGHTS. It takes from the line
what would else come by its standard input, and says there what would else go to its standard output. When the
line ends it closes it, and goes on with those: no snapshot can hold a line.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, cast

from innkeeper.engines.sandbox.sandbox import SandboxError

_HANG_UP_SECONDS = 5.0


class Writing(Protocol):
    """Who writes to a line, and is told when to wait."""

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class Line(asyncio.Protocol):
    """`heard` gets what comes; `lost` is called when it has ended."""

    def __init__(self, heard: Callable[[bytes], None], writing: Writing, lost: Callable[[], None]) -> None:
        self._heard = heard
        self._writing = writing
        self._lost = lost
        self._over = asyncio.Event()
        self._hanging_up = False
        self._transport: asyncio.Transport

    @classmethod
    async def over(
        cls,
        connection: socket.socket,
        heard: Callable[[bytes], None],
        writing: Writing,
        lost: Callable[[], None],
    ) -> "Line":
        loop = asyncio.get_running_loop()
        _, line = await loop.create_unix_connection(lambda: cls(heard, writing, lost), sock=connection)
        return line

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def pause_reading(self) -> None:
        if not self._hanging_up:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def hang_up(self) -> None:
        """Return once the process has let go of it; what was on its way has come. Raises SandboxError."""
        self._hanging_up = True
        self.resume_reading()
        self._transport.write_eof()
        try:
            async with asyncio.timeout(_HANG_UP_SECONDS):
                await self._over.wait()
        except TimeoutError:
            self._transport.abort()
            raise SandboxError("a process does not let go of its line to the host") from None

    def close(self) -> None:
        """What was written is sent first."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own do not say so

    def data_received(self, data: bytes) -> None:
        self._heard(data)

    def pause_writing(self) -> None:
        self._writing.pause_writing()

    def resume_writing(self) -> None:
        self._writing.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._writing.resume_writing()
        self._lost()
        self._over.set()
