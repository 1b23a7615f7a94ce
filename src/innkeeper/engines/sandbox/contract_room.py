"""The words in which the contract's tests are written: a room for one test, and running something in it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from innkeeper.engines.sandbox.sandbox import Command, Sandbox, SandboxDriver, SandboxSpec

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode().strip()


@asynccontextmanager
async def room(driver: SandboxDriver, **spec: Any) -> AsyncIterator[Sandbox]:
    """A new sandbox with these fields of `SandboxSpec`, killed at the end."""
    sandbox = await driver.create(SandboxSpec(f"test-{secrets.token_hex(6)}", **spec))
    try:
        yield sandbox
    finally:
        await sandbox.kill()


async def run(
    sandbox: Sandbox,
    *argv: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    working_directory: str | None = None,
) -> Outcome:
    """Run a program to its end, with all that it prints."""
    process = await sandbox.exec(Command(argv, environment or {}, working_directory))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            process.stdin.write(stdin)
            process.stdin.write_eof()
            out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
            return Outcome(await process.wait(), out, err)
    finally:
        process.close()


async def shell(sandbox: Sandbox, script: str) -> Outcome:
    return await run(sandbox, "sh", "-c", script)


async def python(sandbox: Sandbox, script: str, *arguments: str) -> Outcome:
    return await run(sandbox, "python3", "-c", script, *arguments)


async def heard(stream: asyncio.StreamReader, words: bytes) -> bytes:
    """Read until `words` have been said; all that was said so far."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await stream.readuntil(words)


async def vanishes(sandbox: Sandbox, script: str) -> None:
    """Return once the script prints nothing."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await shell(sandbox, f"{script}; sleep 0.05")).out:
            pass
