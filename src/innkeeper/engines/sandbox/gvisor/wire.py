"""The host's end of the two pipes to the guest agent of a gVisor sandbox; `guest_wire.py` is the other."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Sequence
from typing import Protocol

from innkeeper.engines.sandbox.calls import CALL_TIMEOUT_SECONDS, Calls, Reply, in_time
from innkeeper.engines.sandbox.guest import REPLY
from innkeeper.engines.sandbox.gvisor.guest_wire import (
    CALL,
    CHUNK_BYTES,
    DATA,
    DROP,
    Frames,
    packed,
)
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxGone

STREAMS = 3  # of a process

_READ_BYTES = 262_144
_PIPE_BYTES = 1 << 20
_WAITING_MAX_BYTES = 1 << 20  # requests wait while more than that is on its way to the guest


class Receiver(Protocol):
    """Our end of a stream."""

    def receive(self, kind: int, amount: int, data: bytes) -> bool:
        """A frame has come; False when the guest may not send such a one."""
        ...

    def lost(self) -> None:
        """The sandbox has ended."""
        ...


class Wire(Calls):
    """`guest_ends` are what runsc gets as its standard input and output; `let_go` of them then."""

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__(lost)
        heard, self._said = os.pipe()
        self._heard, said = os.pipe()
        self.guest_ends = (heard, said)
        self._letting_go = False
        for end in (self._said, self._heard):
            os.set_blocking(end, False)
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._frames = Frames(CHUNK_BYTES)
        self._streams: dict[int, Receiver] = {}
        self.next_number = 1
        self._outgoing = bytearray()
        self._held: bytearray | None = None
        self._drained = asyncio.Event()
        self._drained.set()
        self._loop.add_reader(self._heard, self._receive)

    def let_go(self) -> None:
        if not self._letting_go:
            self._letting_go = True
            for end in self.guest_ends:
                os.close(end)

    def number(self) -> int:
        """The first of as many numbers as a process needs for its streams."""
        number = self.next_number
        self.next_number += STREAMS
        return number

    def attach(self, number: int, stream: Receiver) -> None:
        self._streams[number] = stream

    def detach(self, number: int) -> None:
        self._streams.pop(number, None)

    def post(self, frame: bytes) -> None:
        """Send it as soon as the guest can take it. Streams bound themselves by their credit."""
        if self._open:
            waiting = self._outgoing if self._held is None else self._held
            waiting += frame
            self._flush()

    async def quiesce(self) -> None:
        """Have the guest stand still, with nothing on its way in either direction, until it is told to go on.
        Raises SandboxError; then it goes on."""
        self._held = bytearray()
        try:
            reply = await self.tell("quiesce")
            if reply.error:
                raise SandboxError(f"the sandbox cannot stand still: {os.strerror(reply.error)}")
        except BaseException as error:
            busy = isinstance(error, SandboxError) and not isinstance(error, SandboxGone)
            if busy or isinstance(error, asyncio.CancelledError):
                await self.go_on("continue")
            raise

    async def go_on(self, how: str) -> None:
        """`continue`, or `restored` in a sandbox that began as a copy. Raises SandboxError, SandboxGone."""
        try:
            await self.tell(how)
        finally:
            held, self._held = self._held or bytearray(), None
            self.post(bytes(held))

    async def tell(self, operation: str) -> Reply:
        """A `call` that passes what is held back, and is made even while the sandbox counts as paused."""
        if not self._open:
            raise SandboxGone("the sandbox has ended")
        request, message = self._request(operation)
        reply = self._expect(operation, request)
        self._outgoing += packed(CALL, 0, message)
        self._flush()
        return await in_time(reply, CALL_TIMEOUT_SECONDS)

    async def _send(self, message: bytes, fds: Sequence[int]) -> None:
        while self._open and len(self._outgoing) + len(self._held or b"") > _WAITING_MAX_BYTES:
            self._drained.clear()
            await self._drained.wait()
        if not self._open:
            raise SandboxGone("the sandbox has ended")
        self.post(packed(CALL, 0, message))

    def _disconnect(self) -> None:
        self._loop.remove_reader(self._heard)
        self._loop.remove_writer(self._said)
        os.close(self._heard)
        os.close(self._said)
        self.let_go()
        self._drained.set()
        for stream in list(self._streams.values()):
            stream.lost()
        self._streams.clear()

    def _flush(self) -> None:
        try:
            if self._outgoing:
                del self._outgoing[: os.write(self._said, self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self._outgoing.clear()  # it has ended; what is read tells so
        if self._outgoing:
            self._loop.add_writer(self._said, self._flush)
        else:
            self._loop.remove_writer(self._said)
            self._drained.set()

    def _receive(self) -> None:
        try:
            data = os.read(self._heard, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._frames.feed(data)
        if not data or not self._handled():
            self._disbelieve()

    def _handled(self) -> bool:
        """Whether all frames that have come are such as the guest sends."""
        try:
            while self._open and (frame := self._frames.take()):
                kind, number, amount, data = frame
                if kind == CALL:
                    if (
                        number != 0
                        or len(data) != REPLY.size
                        or not self._dispatch(Reply(*REPLY.unpack(data)))
                    ):
                        return False
                elif number in self._streams:
                    if not self._streams[number].receive(kind, amount, data):
                        return False
                elif kind == DATA:
                    self.post(packed(DROP, number))
        except ValueError:
            return False
        return True
