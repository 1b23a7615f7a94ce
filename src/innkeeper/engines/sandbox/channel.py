"""The host's end of the control socket of a sandbox; `guest.py` is at the other end.

One SOCK_SEQPACKET message is one request or one reply. A request is its fields, joined by NUL bytes: the
operation, a number, and what the operation needs; descriptors travel beside it. A reply is three 32-bit
integers: the request's number, an errno or 0, and a value; at most one descriptor comes with it. The number
-1 announces that a process has ended, with its pid and exit code in the other two places.

The guest agent is ours, but it lives among code that is not: whatever comes from there is checked, and one
malformed message ends the sandbox.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from signal import SIGKILL
from typing import TypeVar

from innkeeper.engines.sandbox.guest import EVENT, REPLY, REQUEST_MAX_BYTES, VERSION
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxGone, SandboxPaused

START_TIMEOUT_SECONDS = 30.0
CALL_TIMEOUT_SECONDS = 30.0

_FD = struct.Struct("i")

Answer = TypeVar("Answer")
Exit = asyncio.Future[int | None]
"""The exit code of a process, negative for a signal; None when the sandbox ended first."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the guest answered: `error` is an errno or 0, `fd` a descriptor of ours or -1, `exit` that of the
    process which the request started."""

    request: int
    error: int
    value: int
    fd: int = -1
    exit: Exit | None = None

    def drop(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    def take(self) -> int:
        """The descriptor that must have come; raises SandboxError when there is none."""
        if self.fd < 0:
            raise SandboxError("the guest agent sent no descriptor")
        return self.fd


@dataclass(frozen=True, slots=True)
class _Request:
    operation: str
    reply: asyncio.Future[Reply]


def encode(operation: str, request: int, fields: Sequence[str]) -> bytes:
    """Raises SandboxError when a field holds a NUL character or the whole is too long."""
    if any("\0" in field for field in fields):
        raise SandboxError("arguments, variables and paths cannot hold a NUL character")
    message = b"\0".join(map(os.fsencode, (operation, str(request), *fields)))
    if len(message) > REQUEST_MAX_BYTES:
        raise SandboxError(
            f"arguments and environment take {len(message)} bytes; at most {REQUEST_MAX_BYTES} are allowed"
        )
    return message


class Channel:
    """Ask with `call`; `lost` is called once when the guest is gone or cannot be believed any more. While the
    guest is `paused`, nothing is asked."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._socket, self.guest_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._requests: dict[int, _Request] = {}
        self._exits: dict[int, Exit] = {}
        self._kills: set[asyncio.Task[Reply]] = set()
        self._last_request = 0
        self._sending = asyncio.Lock()
        self._open = True
        self.paused = False
        self._greeting = self._expect("greet", 0)
        self._loop.add_reader(self._socket, self._receive)

    async def greeted(self) -> None:
        """Return once the guest agent is up. Raises SandboxError, SandboxGone."""
        reply = await _in_time(self._greeting, START_TIMEOUT_SECONDS)
        if reply.value != VERSION:
            raise SandboxError(f"the guest agent is of version {reply.value}; {VERSION} is needed")

    async def call(self, operation: str, *fields: str, fds: Sequence[int] = ()) -> Reply:
        """Raises SandboxGone, or SandboxError when the guest does not answer in time. The `fd` of the reply
        is the caller's to close. A process that starts when its caller has left is killed."""
        if not self._open:
            raise SandboxGone("the sandbox has ended")
        if self.paused:
            raise SandboxPaused("the sandbox is paused; resume it first")
        self._last_request += 1
        request = self._last_request
        message = encode(operation, request, fields)
        await _in_time(self._send(message, fds), CALL_TIMEOUT_SECONDS)
        reply = self._expect(operation, request)
        try:
            return await _in_time(reply, CALL_TIMEOUT_SECONDS)
        except BaseException:
            if reply.done() and not reply.cancelled() and not reply.exception():
                self._abandon(operation, reply.result())
            raise

    def close(self) -> None:
        """Fail what is under way, and report no more. Idempotent."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self.guest_end.close()
        for request in self._requests.values():
            if not request.reply.done():
                request.reply.set_exception(SandboxGone("the sandbox has ended"))
                request.reply.exception()  # else one that nobody waits for is reported as lost
        for ended in self._exits.values():
            ended.set_result(None)
        self._requests.clear()
        self._exits.clear()

    def _expect(self, operation: str, request: int) -> asyncio.Future[Reply]:
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._requests[request] = _Request(operation, reply)
        return reply

    def _abandon(self, operation: str, reply: Reply) -> None:
        reply.drop()
        if operation == "exec" and reply.error == 0 and self._open:
            kill = self._loop.create_task(self.call("signal", str(reply.value), str(int(SIGKILL))))
            self._kills.add(kill)
            kill.add_done_callback(self._forget_kill)

    def _forget_kill(self, kill: asyncio.Task[Reply]) -> None:
        self._kills.discard(kill)
        if not kill.cancelled():
            kill.exception()

    async def _send(self, message: bytes, fds: Sequence[int]) -> None:
        async with self._sending:
            while True:
                try:
                    socket.send_fds(self._socket, [message], fds)
                    return
                except BlockingIOError:
                    await self._writable()
                except OSError:
                    raise SandboxGone("the sandbox has ended") from None

    async def _writable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(self._socket, ready.set)
        try:
            await ready.wait()
        finally:
            if self._open:
                self._loop.remove_writer(self._socket)

    def _receive(self) -> None:
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                REPLY.size + 1, socket.CMSG_LEN(_FD.size), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            data, ancillary, flags = b"", [], 0
        fds = [fd for _, _, packed in ancillary for (fd,) in _FD.iter_unpack(packed)]
        # Cut descriptors without a first one only say that this process may have no more of them.
        excess = flags & socket.MSG_TRUNC or (flags & socket.MSG_CTRUNC and fds) or len(fds) > 1
        if len(data) == REPLY.size and not excess and self._dispatch(Reply(*REPLY.unpack(data), *fds)):
            return
        for fd in fds:
            os.close(fd)
        self.close()
        self._lost()

    def _dispatch(self, reply: Reply) -> bool:
        """False when the guest said what it never would."""
        if reply.request == EVENT:
            ended = self._exits.pop(reply.error, None)
            if ended is None or reply.fd >= 0:
                return False
            ended.set_result(reply.value)
            return True
        request = self._requests.pop(reply.request, None)
        if request is None:
            return False
        if request.operation == "exec" and reply.error == 0:
            if reply.value in self._exits:
                return False
            reply = replace(reply, exit=self._exits.setdefault(reply.value, self._loop.create_future()))
        if request.reply.done():
            self._abandon(request.operation, reply)
        else:
            request.reply.set_result(reply)
        return True


async def _in_time(answer: Awaitable[Answer], seconds: float) -> Answer:
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise SandboxError(f"the sandbox did not answer in {seconds:g} s") from None
