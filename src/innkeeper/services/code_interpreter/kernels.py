"""The kernels of a session, from outside: one process in the sandbox for each language."""

import asyncio
import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from innkeeper.engines.sandbox.sandbox import Command, Process, Sandbox, SandboxError
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import Throttled
from innkeeper.services.code_interpreter import results
from innkeeper.services.code_interpreter.results import ToolFailed

_ANSWER_MAX_BYTES = 64_000_000
_CHUNK_BYTES = 1 << 18
_WAITING_MAX = 32
_GRACE_SECONDS = 15.0  # on top of the cell's own time: for the kernel's interrupt, kill and restart
_SIGKILL = 9
_BROKEN = (TimeoutError, OSError, EOFError, ValueError, KeyError, TypeError, RecursionError)
_GONE = "the kernel was ended by the code that it ran: all variables are lost"


@dataclass(frozen=True, slots=True)
class Cell:
    """`imports` are modules to load, in place of code; those that are not there are left out."""

    code: str = ""
    typescript: bool = False
    clear: bool = False
    imports: Sequence[str] | None = None


class Kernel:
    """Runs one cell at a time; others wait. Starts with the first cell, or before by `warm`."""

    def __init__(self, sandbox: Sandbox, argv: Sequence[str], timeout_seconds: float) -> None:
        self._sandbox = sandbox
        self._argv = argv
        self._timeout_seconds = timeout_seconds
        self._environment: Mapping[str, str] = {}
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._followings: set[asyncio.Task[None]] = set()

    async def warm(self) -> None:
        """Have the process ready. Raises SandboxError."""
        async with self._turn:
            await self._running()

    async def process(self) -> Process:
        """The one that serves the cells. Raises SandboxError."""
        return await self._running()

    def go_on(self, process: Process) -> None:
        """Have a process serve that was there before this object."""
        self._process = process

    def settle(self, environment: Mapping[str, str]) -> None:
        """Before the next cell, add these variables and let random numbers begin anew: a copy of a process
        would go on with those of the other. There is no answer to wait for."""
        self._environment = environment
        self._send({"settle": dict(environment)})

    async def run(self, cell: Cell) -> Document:
        """A caller who gives up interrupts the cell. Raises Throttled, ToolFailed, SandboxError."""
        if self._waiting >= _WAITING_MAX:
            raise Throttled(f"{_WAITING_MAX} cells of this session are waiting to be run already")
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        # A task of its own: an exchange must be heard to its end, or the next would get its answer.
        exchange = asyncio.create_task(self._exchange(cell))
        following = asyncio.create_task(self._follow(exchange))
        self._followings.add(following)
        following.add_done_callback(self._followings.discard)
        try:
            return await asyncio.shield(exchange)
        except asyncio.CancelledError:
            self._send("interrupt")
            raise

    async def rest(self) -> None:
        """Return once no cell runs, and nothing follows from the last one."""
        async with self._turn:
            pass

    def close(self) -> None:
        """To be called when the sandbox has ended."""
        if self._process is not None:
            self._process.close()

    async def _follow(self, exchange: asyncio.Task[Document]) -> None:
        """The next cell waits until the process has a line to us; this one's answer does not."""
        await asyncio.wait({exchange})
        try:
            # What went wrong is told to the caller, unless that one has gone.
            if not exchange.cancelled() and not exchange.exception() and self._process is not None:
                await self._process.go_direct()
        finally:
            self._turn.release()

    async def _exchange(self, cell: Cell) -> Document:
        process = await self._running()
        request = {
            "code": cell.code,
            "typescript": cell.typescript,
            "clear": cell.clear,
            "timeout": self._timeout_seconds,
        }
        if cell.imports is not None:
            request["imports"] = list(cell.imports)
        try:
            async with asyncio.timeout(self._timeout_seconds + _GRACE_SECONDS):
                self._send(request)
                await process.stdin.drain()
                answer = await _line(process.stdout)
            return _result(json.loads(answer))
        except _BROKEN as error:
            await self._end(process)
            await self._running()  # tells when it is the session that has ended
            raise ToolFailed(_GONE) from error

    def _send(self, request: Any) -> None:
        if self._process is not None:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _running(self) -> Process:
        if self._process is None:
            self._process = await self._sandbox.exec(Command(self._argv, self._environment))
        return self._process

    async def _end(self, process: Process) -> None:
        self._process = None
        with contextlib.suppress(SandboxError):
            await process.signal(_SIGKILL)
        process.close()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """Up to the first newline; an answer is followed by nothing. Raises EOFError."""
    parts: list[bytes] = []
    size = 0
    while not parts or not parts[-1].endswith(b"\n"):
        chunk = await stream.read(_CHUNK_BYTES)
        size += len(chunk)
        if not chunk or size > _ANSWER_MAX_BYTES:
            raise EOFError
        parts.append(chunk)
    return b"".join(parts)


def _result(answer: Document) -> Document:
    """The code in the sandbox may have tampered with it: what is not of the right type raises TypeError,
    ValueError or KeyError."""
    milliseconds = float(answer["milliseconds"])
    if not math.isfinite(milliseconds):
        raise ValueError("a time must be a number")
    return results.output(
        str(answer["stdout"]),
        str(answer["stderr"]),
        int(answer["exitCode"]),
        milliseconds,
        list(answer["items"]),
    )
