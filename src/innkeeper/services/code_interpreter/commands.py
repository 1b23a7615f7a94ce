"""Shell commands in a session, with what they print kept up to a bound."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

from innkeeper.engines.sandbox.sandbox import Command, Process, Sandbox, SandboxError
from innkeeper.kernel.call import Document
from innkeeper.services.code_interpreter import results

# It comes twice in an event, and JSON may need six bytes for one: far below what clients take.
OUTPUT_MAX_BYTES = 500_000
_CHUNK_BYTES = 1 << 16
_DRAIN_SECONDS = 0.5
_SIGKILL = 9


class Output:
    """The beginning of what a stream gives; the rest is counted and dropped."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        room = OUTPUT_MAX_BYTES - len(self._kept)
        self._kept += chunk[:room]
        self._dropped += max(0, len(chunk) - room)

    def text(self) -> str:
        text = self._kept.decode(errors="replace")
        if self._dropped:
            text += f"\n[output truncated: {self._dropped} more bytes were dropped]\n"
        return text


class RunningCommand:
    """A command from its start to its end; `code` is None until then."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._started = time.monotonic()
        self._ended: float | None = None
        self.code: int | None = None
        self.stdout, self.stderr = Output(), Output()

    @classmethod
    async def start(cls, sandbox: Sandbox, command: str, environment: Mapping[str, str]) -> "RunningCommand":
        """Raises SandboxError."""
        process = await sandbox.exec(Command(("/bin/bash", "-c", command), environment))
        process.stdin.close()
        return cls(process)

    @property
    def milliseconds(self) -> float:
        return ((self._ended or time.monotonic()) - self._started) * 1000

    async def wait(self) -> int:
        """The exit code, or minus the signal's number. Raises SandboxError when the sandbox ends first.

        A process that the command left in the background may hold the pipes open: it is not waited for.
        """
        pumps = [
            asyncio.create_task(_pump(self._process.stdout, self.stdout.add)),
            asyncio.create_task(_pump(self._process.stderr, self.stderr.add)),
        ]
        try:
            code = await self._process.wait()
            await asyncio.wait(pumps, timeout=_DRAIN_SECONDS)
        finally:
            for pump in pumps:
                pump.cancel()
            self._ended = time.monotonic()
            self._process.close()
        self.code = code
        return code

    async def kill(self) -> None:
        with contextlib.suppress(SandboxError):
            await self._process.signal(_SIGKILL)

    async def result(self, timeout_seconds: float) -> Document:
        """Run it to its end, or kill it when its time is over or nobody waits any more."""
        note = ""
        waiting = asyncio.create_task(self.wait())
        try:
            async with asyncio.timeout(timeout_seconds):
                code = await asyncio.shield(waiting)
        except TimeoutError:
            note = f"timed out after {timeout_seconds:g} s: the command was killed\n"
            await self.kill()
            code = await waiting
        except asyncio.CancelledError:
            await asyncio.shield(self.kill())
            raise
        return results.output(self.stdout.text(), self.stderr.text() + note, code, self.milliseconds, ())


async def _pump(stream: asyncio.StreamReader, add: Callable[[bytes], None]) -> None:
    while chunk := await stream.read(_CHUNK_BYTES):
        add(chunk)
