"""What the host asks of the guest agent of a sandbox, whatever carries it: requests, replies, exits.

A request is its fields, joined by NUL bytes: the operation, a number, and what the operation needs. A reply
is three 32-bit integers: the request's number, an errno or 0, and a value. The number -1 announces that a
process has ended, with its pid and exit code in the other two places.

The guest agent is ours, but it lives among code that is not: whatever comes from there is checked, and one
malformed message ends the sandbox.
"""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from signal import SIGKILL
from typing import TypeVar

from innkeeper.engines.sandbox.guest import EVENT, REQUEST_MAX_BYTES, VERSION
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxGone, SandboxPaused

START_TIMEOUT_SECONDS = 30.0
CALL_TIMEOUT_SECONDS = 30.0

_STARTING = ("exec", "adopt")
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


class Calls(ABC):
    """Ask with `call`; `lost` is called once when the guest is gone or cannot be believed any more. While the
    guest is `paused`, nothing is asked."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._requests: dict[int, _Request] = {}
        self._exits: dict[int, Exit] = {}
        self._kills: set[asyncio.Task[Reply]] = set()
        self._last_request = 0
        self._open = True
        self.paused = False
        self.heard_at: float | None = None  # when the guest last said something, by the loop's clock
        self._greeting = self._expect("greet", 0)

    @abstractmethod
    async def _send(self, message: bytes, fds: Sequence[int]) -> None:
        """Raises SandboxGone."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Let go of what carries the messages."""

    async def greeted(self) -> None:
        """Return once the guest agent is up. Raises SandboxError, SandboxGone."""
        reply = await in_time(self._greeting, START_TIMEOUT_SECONDS)
        if reply.value != VERSION:
            raise SandboxError(f"the guest agent is of version {reply.value}; {VERSION} is needed")

    async def call(self, operation: str, *fields: str, fds: Sequence[int] = ()) -> Reply:
        """Raises SandboxGone, or SandboxError when the guest does not answer in time. The `fd` of the reply
        is the caller's to close. A process that starts when its caller has left is killed."""
        if not self._open:
            raise SandboxGone("the sandbox has ended")
        if self.paused:
            raise SandboxPaused("the sandbox is paused; resume it first")
        request, message = self._request(operation, *fields)
        await in_time(self._send(message, fds), CALL_TIMEOUT_SECONDS)
        reply = self._expect(operation, request)
        try:
            return await in_time(reply, CALL_TIMEOUT_SECONDS)
        except BaseException:
            if reply.done() and not reply.cancelled() and not reply.exception():
                self._abandon(operation, reply.result())
            raise

    @property
    def alive(self) -> list[int]:
        """The processes whose end was not announced."""
        return list(self._exits)

    def running(self, process_id: int) -> Exit:
        """Expect that this process ends, which no request of ours has started."""
        return self._exits.setdefault(process_id, self._loop.create_future())

    def close(self) -> None:
        """Fail what is under way, and report no more. Idempotent."""
        if not self._open:
            return
        self._open = False
        self._disconnect()
        for request in self._requests.values():
            if not request.reply.done():
                request.reply.set_exception(SandboxGone("the sandbox has ended"))
                request.reply.exception()  # else one that nobody waits for is reported as lost
        for ended in self._exits.values():
            ended.set_result(None)
        self._requests.clear()
        self._exits.clear()

    def _request(self, operation: str, *fields: str) -> tuple[int, bytes]:
        """Its number, and how it is sent."""
        self._last_request += 1
        return self._last_request, encode(operation, self._last_request, fields)

    def _expect(self, operation: str, request: int) -> asyncio.Future[Reply]:
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._requests[request] = _Request(operation, reply)
        return reply

    def _abandon(self, operation: str, reply: Reply) -> None:
        reply.drop()
        if operation in _STARTING and reply.error == 0 and self._open:
            kill = self._loop.create_task(self.call("signal", str(reply.value), str(int(SIGKILL))))
            self._kills.add(kill)
            kill.add_done_callback(self._forget_kill)

    def _forget_kill(self, kill: asyncio.Task[Reply]) -> None:
        self._kills.discard(kill)
        if not kill.cancelled():
            kill.exception()

    def _disbelieve(self) -> None:
        """The guest is gone, or said what it never would."""
        self.close()
        self._lost()

    def _dispatch(self, reply: Reply) -> bool:
        """False when the guest said what it never would."""
        self.heard_at = self._loop.time()
        if reply.request == EVENT:
            ended = self._exits.pop(reply.error, None)
            if ended is None or reply.fd >= 0:
                return False
            ended.set_result(reply.value)
            return True
        request = self._requests.pop(reply.request, None)
        if request is None:
            return False
        if request.operation in _STARTING and reply.error == 0:
            if reply.value in self._exits:
                return False
            reply = replace(reply, exit=self.running(reply.value))
        if request.reply.done():
            self._abandon(request.operation, reply)
        else:
            request.reply.set_result(reply)
        return True


async def in_time(answer: Awaitable[Answer], seconds: float) -> Answer:
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise SandboxError(f"the sandbox did not answer in {seconds:g} s") from None
