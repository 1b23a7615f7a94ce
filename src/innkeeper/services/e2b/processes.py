"""The commands and terminals that E2B's clients started in a sandbox."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from innkeeper.engines.sandbox.sandbox import Command, Process, Sandbox, SandboxError, TerminalSize
from innkeeper.kernel.call import Document
from innkeeper.services.e2b.connect import ConnectError

_CHUNK_BYTES = 32_768
_QUEUE_MAX = 64
_STALL_SECONDS = 60.0
_DRAIN_SECONDS = 1.0
_INPUT_SECONDS = 60.0
_PROCESSES_MAX = 256
_SIGKILL = 9

Kind = Literal["stdout", "stderr", "pty"]


@dataclass(frozen=True, slots=True)
class Chunk:
    kind: Kind
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The exit code, or minus the signal's number; None when the sandbox ended first."""

    code: int | None


class Listener:
    """One client's ear. Who does not read for long is left behind: the others go on without it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Chunk | End] = asyncio.Queue(_QUEUE_MAX)
        self._left_behind = False

    async def tell(self, message: Chunk | End) -> None:
        if self._left_behind:
            return
        try:
            async with asyncio.timeout(_STALL_SECONDS):
                await self._queue.put(message)
        except TimeoutError:
            self._left_behind = True

    def __aiter__(self) -> AsyncIterator[Chunk | End]:
        return self

    async def __anext__(self) -> Chunk | End:
        if self._left_behind and self._queue.empty():
            raise ConnectError("resource_exhausted", "the output was read too slowly: some of it is lost")
        return await self._queue.get()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of a process beside what is in the sandbox."""

    pid: int
    config: Document
    tag: str | None
    terminal: bool


class Running:
    """A process and who listens to it. Output that nobody listens to is dropped: the process goes on."""

    def __init__(self, process: Process, config: Document, tag: str | None, terminal: bool) -> None:
        self.process = process
        self.known = Remembered(process.id, config, tag, terminal)
        self._listeners: set[Listener] = set()
        self._carried = 0
        self._telling = 0
        self._typing = asyncio.Lock()

    @contextlib.contextmanager
    def heard(self) -> Iterator[Listener]:
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def run(self) -> int | None:
        """Carry its output until it ends; the code of its End. What a child left in the background prints
        is not waited for."""
        pumps = [
            asyncio.create_task(self._pump("pty" if self.known.terminal else "stdout", self.process.stdout))
        ]
        if not self.known.terminal:
            pumps.append(asyncio.create_task(self._pump("stderr", self.process.stderr)))
        code: int | None = None
        try:
            with contextlib.suppress(SandboxError):
                code = await self.process.wait()
            await self._drained(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            self.process.close()
        await self._tell(End(code))
        return code

    async def type(self, data: bytes) -> None:
        """Raises ConnectError when its input is closed, or it does not read."""
        try:
            async with asyncio.timeout(_INPUT_SECONDS), self._typing:
                self.process.stdin.write(data)
                await self.process.stdin.drain()
        except TimeoutError as error:
            raise ConnectError("deadline_exceeded", "the process does not read its input") from error
        except (OSError, RuntimeError) as error:
            raise ConnectError("failed_precondition", "the input of the process is closed") from error

    async def _pump(self, kind: Kind, stream: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await stream.read(_CHUNK_BYTES):
                self._carried += 1
                self._telling += 1
                await self._tell(Chunk(kind, data))
                self._telling -= 1

    async def _drained(self, pumps: list[asyncio.Task[None]]) -> None:
        """Until both streams end, or nothing more is carried for a while."""
        seen = -1
        waiting: set[asyncio.Task[None]] = set(pumps)
        while waiting and (seen != self._carried or self._telling):
            seen = self._carried
            _, waiting = await asyncio.wait(waiting, timeout=_DRAIN_SECONDS)

    async def _tell(self, message: Chunk | End) -> None:
        await asyncio.gather(*(listener.tell(message) for listener in tuple(self._listeners)))


class Processes:
    """Those of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._running: dict[int, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Running]:
        return iter(tuple(self._running.values()))

    @contextlib.asynccontextmanager
    async def start(
        self, command: Command, config: Document, tag: str | None, has_input: bool, deadline: float
    ) -> AsyncIterator[tuple[Running, Listener]]:
        """Heard from its first byte on. At the deadline, a time of the event loop, it is killed, whoever
        listens. Raises ConnectError, SandboxError."""
        if len(self._running) >= _PROCESSES_MAX:
            raise ConnectError("resource_exhausted", f"{_PROCESSES_MAX} commands are running already")
        process = await self._sandbox.exec(command)
        if not has_input and command.terminal is None:
            process.stdin.close()
        running = Running(process, config, tag, command.terminal is not None)
        with running.heard() as listener:
            self._follow(running, deadline)
            yield running, listener

    def find(self, chosen: Callable[[Running], bool]) -> Running:
        """Raises ConnectError."""
        for running in self:
            if chosen(running):
                return running
        raise ConnectError("not_found", "there is no such process")

    def roster(self) -> list[Remembered]:
        """Those that run, or ran when the sandbox ended."""
        return [running.known for running in self]

    def adopt(self, roster: Sequence[Remembered]) -> None:
        """Go on with those of the sandbox that this one was restored from."""
        for known in roster:
            with contextlib.suppress(SandboxError):  # it did not survive
                process = self._sandbox.process(known.pid)
                self._follow(Running(process, known.config, known.tag, known.terminal))

    def close(self) -> None:
        """Stop listening to them."""
        for task in self._tasks:
            task.cancel()

    def _follow(self, running: Running, deadline: float | None = None) -> None:
        self._running[running.known.pid] = running
        task = asyncio.create_task(self._run(running, deadline))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, running: Running, deadline: float | None) -> None:
        run = asyncio.create_task(running.run())
        try:
            async with asyncio.timeout_at(deadline):
                code = await asyncio.shield(run)
        except TimeoutError:
            await kill(running)
            code = await run
        finally:
            run.cancel()
        if code is not None:
            del self._running[running.known.pid]


async def kill(running: Running) -> None:
    with contextlib.suppress(SandboxError):
        await running.process.signal(_SIGKILL)


async def resize(running: Running, size: TerminalSize) -> None:
    """Raises ConnectError, SandboxError."""
    if not running.known.terminal:
        raise ConnectError("failed_precondition", "the process has no terminal")
    await running.process.resize(size)
