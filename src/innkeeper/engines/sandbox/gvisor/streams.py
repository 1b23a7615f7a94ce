"""Our ends of a process's standard streams, as transports over the wire of its sandbox.

Each stream has a window: what may be on its way before the other side says that it can take more. A process
that has a line gets its input by that and answers on it, and the wire is quiet.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from innkeeper.engines.sandbox.gvisor.guest_wire import (
    CHUNK_BYTES,
    CREDIT,
    DATA,
    DROP,
    END,
    WINDOW_BYTES,
    packed,
)
from innkeeper.engines.sandbox.gvisor.line import Line
from innkeeper.engines.sandbox.gvisor.wire import Wire

_PAUSE_BYTES = 65_536


class Input(asyncio.WriteTransport):
    """What the process reads."""

    def __init__(self, wire: Wire, number: int, credit: int, typed: bool) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self._number = number
        self._credit = credit
        self._typed = typed
        self._waiting = bytearray()
        self._closing = False
        self._paused = False
        self._changing = False
        self.line: Line | None = None
        self.open = True
        self._protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        self._protocol.connection_made(self)
        self.writer = asyncio.StreamWriter(self, self._protocol, None, self._loop)
        wire.attach(number, self)

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return not self._typed

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def write(self, data: Any) -> None:
        if self._closing:
            return
        if self.line is not None:
            self.line.write(data)
            return
        self._waiting += data
        self._send()
        if len(self._waiting) > _PAUSE_BYTES:
            self.pause_writing()

    def write_eof(self) -> None:
        self._closing = True
        if self.line is not None:
            self.line.close()
        self._send()

    def pause_writing(self) -> None:
        if not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._paused:
            self._paused = False
            self._protocol.resume_writing()

    async def hang_up(self) -> None:
        """What is written meanwhile waits until the line is over: it must not get before what went by that.
        Raises SandboxError."""
        line, self.line = self.line, None
        if line is not None:
            self._changing = True
            try:
                await line.hang_up()
            finally:
                self._changing = False
                self._send()

    def close(self) -> None:
        """What is waiting is sent first."""
        self.write_eof()

    def receive(self, kind: int, amount: int, data: bytes) -> bool:
        if kind == CREDIT:
            self._credit += amount
            self._send()
            if len(self._waiting) <= _PAUSE_BYTES:
                self.resume_writing()
        elif kind == DROP:
            self._leave(BrokenPipeError("the process reads no more"))
        return kind in (CREDIT, DROP)

    def lost(self) -> None:
        self._leave(BrokenPipeError("the sandbox has ended"))

    def _send(self) -> None:
        if self._changing:
            return
        while self._waiting and self._credit > 0:
            chunk = bytes(self._waiting[: min(CHUNK_BYTES, self._credit)])
            del self._waiting[: len(chunk)]
            self._credit -= len(chunk)
            self._wire.post(packed(DATA, self._number, chunk))
        if self._closing and not self._waiting and self.open:
            self._wire.post(packed(END, self._number))
            self._leave(None)

    def _leave(self, reason: Exception | None) -> None:
        if self.open:
            self.open = False
            self._closing = True
            if self.line is not None:
                self.line.close()
            self._waiting.clear()
            self._wire.detach(self._number)
            self._loop.call_soon(self._protocol.connection_lost, reason)


class Output(asyncio.ReadTransport):
    """What the process writes, fed to `reader`. A reader that is full gives no more credit."""

    def __init__(self, wire: Wire, number: int, credit: int) -> None:
        super().__init__()
        self._wire = wire
        self._number = number
        self._allowed = credit
        self._owed = 0
        self._paused = False
        self.line: Line | None = None
        self.open = True
        self.reader = asyncio.StreamReader()
        self.reader.set_transport(self)
        wire.attach(number, self)

    def is_closing(self) -> bool:
        return not self.open

    def is_reading(self) -> bool:
        return self.open and not self._paused

    def pause_reading(self) -> None:
        self._paused = True
        if self.line is not None:
            self.line.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if self.line is not None:
            self.line.resume_reading()
        self._grant()

    def fed(self, data: bytes) -> None:
        """By the line."""
        if self.open:
            self.reader.feed_data(data)

    def begin(self) -> None:
        """Take what a process writes that was restored."""
        self._owed = WINDOW_BYTES
        self._grant()

    def receive(self, kind: int, amount: int, data: bytes) -> bool:
        if kind == DATA and len(data) <= self._allowed:
            self._allowed -= len(data)
            self._owed += len(data)
            self.reader.feed_data(data)
            self._grant()
            return True
        if kind == END:
            self._leave()
        return kind == END

    def lost(self) -> None:
        self._leave()

    def close(self) -> None:
        if self.open:
            self._wire.post(packed(DROP, self._number))
            self._leave()

    def _grant(self) -> None:
        if self.open and not self._paused and self._owed >= WINDOW_BYTES // 4:
            self._wire.post(packed(CREDIT, self._number, amount=self._owed))
            self._allowed += self._owed
            self._owed = 0

    def _leave(self) -> None:
        if self.open:
            self.open = False
            self._wire.detach(self._number)
            self.reader.feed_eof()


class StandardStreams:
    """Those of one process: `number` is that of its input, and those of its outputs follow. With a terminal
    there is one output. Where only some are `open` still, the others are at their end."""

    def __init__(
        self, wire: Wire, number: int, terminal: bool, credit: int, open_: Sequence[int] = (0, 1, 2)
    ) -> None:
        self.number = number
        self.terminal = terminal
        self._input = Input(wire, number, credit, terminal)
        self._outputs = [Output(wire, number + offset, credit) for offset in range(1, 3)]
        for offset, stream in enumerate(self._all()):
            if offset not in open_ or (terminal and offset == 2):
                stream.lost()
        self.stdin = self._input.writer
        self.stdout, self.stderr = (output.reader for output in self._outputs)

    @property
    def open(self) -> tuple[int, ...]:
        return tuple(offset for offset, stream in enumerate(self._all()) if stream.open)

    def begin(self) -> None:
        for output in self._outputs:
            output.begin()

    @property
    def can_have_line(self) -> bool:
        return self.open == (0, 1, 2) and self._input.line is None and not self._input.get_write_buffer_size()

    async def take_line(self, connection: socket.socket) -> None:
        shown = self._outputs[0]
        self._input.line = shown.line = await Line.over(connection, shown.fed, self._input, self._lineless)

    async def hang_up(self) -> None:
        """Go on without a line. Raises SandboxError when the process does not let go of it."""
        await self._input.hang_up()

    def _lineless(self) -> None:
        self._input.line = self._outputs[0].line = None

    def close(self) -> None:
        for stream in self._all():
            stream.close()

    def _all(self) -> tuple[Input | Output, ...]:
        return (self._input, *self._outputs)
