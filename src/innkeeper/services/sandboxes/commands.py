"""Commands run in a sandbox, what they print passed on as it comes."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from innkeeper.engines.sandbox.sandbox import (
    CannotStart,
    Command,
    Process,
    Sandbox,
    SandboxError,
    SandboxGone,
)
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest, NotFound

_CHUNK_BYTES = 1 << 16
_WAITING_MAX = 16
_SIGKILL = 9
_DRAIN_SECONDS = 0.5
_KEPT_BYTES = 64_000


@dataclass(frozen=True, slots=True)
class Order:
    """What to run; it is killed when `timeout_seconds` are over."""

    argv: Sequence[str]
    timeout_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    stdin: bytes = b""


_SHELL = 'command -v bash > /dev/null && exec bash -c "$0"; exec sh -c "$0"'


def script(text: str, timeout_seconds: float) -> Order:
    """For bash or, in an image that has none, for sh."""
    return Order(("/bin/sh", "-c", _SHELL, text), timeout_seconds)


async def run(sandbox: Sandbox, order: Order) -> AsyncIterator[Document]:
    """Start it; its `_events`. A program that is not there, or may not be run, ends as in a shell: with 127
    or 126. Raises InvalidRequest when it cannot be started, NotFound when the sandbox has ended."""
    try:
        process = await sandbox.exec(
            Command(order.argv, order.environment, working_directory=order.working_directory)
        )
    except CannotStart as error:
        return _never_started(error)
    except SandboxGone as error:
        raise NotFound("The sandbox has ended") from error
    except SandboxError as error:
        raise InvalidRequest(f"The command could not be started: {error}") from error
    return _events(process, order)


async def _never_started(error: CannotStart) -> AsyncIterator[Document]:
    yield {"stderr": base64.b64encode(f"{error}\n".encode()).decode()}
    yield {"exitCode": error.code}


async def _events(process: Process, order: Order) -> AsyncIterator[Document]:
    """`{"stdout": BASE64}` and `{"stderr": BASE64}` as they come, then `{"exitCode": N}` (minus the signal's
    number) or `{"error": WHY}`. Who stops reading ends the command."""
    queue: asyncio.Queue[Document | None] = asyncio.Queue(_WAITING_MAX)
    work = asyncio.create_task(_work(process, order, queue))
    try:
        while (event := await queue.get()) is not None:
            yield event
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        process.close()


async def _work(process: Process, order: Order, queue: asyncio.Queue[Document | None]) -> None:
    pumps = [
        asyncio.create_task(_feed(process, order.stdin)),
        asyncio.create_task(_pass_on(process.stdout, "stdout", queue)),
        asyncio.create_task(_pass_on(process.stderr, "stderr", queue)),
    ]
    end: Document
    try:
        async with asyncio.timeout(order.timeout_seconds):
            end = {"exitCode": await process.wait()}
            await _drained(pumps[1:], queue)
    except TimeoutError:
        await asyncio.shield(_kill(process))
        end = {"error": f"timed out after {order.timeout_seconds:g} s: the command was killed"}
    except asyncio.CancelledError:
        await asyncio.shield(_kill(process))
        raise
    except SandboxError as error:
        end = {"error": str(error)}
    finally:
        for pump in pumps:
            pump.cancel()
    await queue.put(end)
    await queue.put(None)


async def _drained(pumps: Sequence[asyncio.Task[None]], queue: asyncio.Queue[Document | None]) -> None:
    """A process that the command left in the background may hold the streams open: it is not waited for."""
    pending: set[asyncio.Task[None]] = set(pumps)
    while pending:
        seen = queue.qsize()
        _, pending = await asyncio.wait(pending, timeout=_DRAIN_SECONDS)
        if seen == queue.qsize() == 0:
            return


async def _pass_on(stream: asyncio.StreamReader, name: str, queue: asyncio.Queue[Document | None]) -> None:
    while chunk := await stream.read(_CHUNK_BYTES):
        await queue.put({name: base64.b64encode(chunk).decode()})


async def _feed(process: Process, data: bytes) -> None:
    with contextlib.suppress(OSError):  # it need not read
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _kill(process: Process) -> None:
    with contextlib.suppress(SandboxError):
        await process.signal(_SIGKILL)


async def finish(sandbox: Sandbox, order: Order) -> tuple[int, str]:
    """The exit code, or -1 when it did not end in time, and the end of what it printed. Raises as `run`."""
    kept, code = b"", -1
    async for event in await run(sandbox, order):
        for name in ("stdout", "stderr"):
            kept = (kept + base64.b64decode(event.get(name, "")))[-_KEPT_BYTES:]
        kept += str(event.get("error", "")).encode()
        code = int(event.get("exitCode", code))
    return code, kept.decode(errors="replace")
