"""A sentry is lent the memory that was made ready for it; whatever else asks for a file gets its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from innkeeper.engines.sandbox.gvisor.driver import missing
from innkeeper.engines.sandbox.gvisor.lent import size
from innkeeper.engines.sandbox.gvisor.memory import Memory
from tests.engines.sandbox.test_gvisor import descriptors

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "it can be used here")

MIB = 1 << 20
PLACES = ((0, 8 * MIB), (64 * MIB, 66 * MIB))
ASKING = """
import os, sys
for line in sys.stdin:
    name, flags = line.split()
    file = os.memfd_create(name, int(flags))
    own = "memfd" in os.readlink(f"/proc/self/fd/{file}")
    print("own" if own else os.fstat(file).st_blocks * 512, flush=True)
"""
NESTED = """
import asyncio, sys
from innkeeper.engines.sandbox.gvisor.memory import Memory

async def main():
    memory = Memory()
    print(memory.start(["true"]).wait(), flush=True)
    memory.close()

asyncio.run(main())
"""


class Asker:
    def __init__(self, memory: Memory) -> None:
        self.process = memory.start(
            [sys.executable, "-c", ASKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    async def gets(self, name: str, flags: int = 0) -> str:
        return await asyncio.to_thread(self._gets, f"{name} {flags}\n".encode())

    def _gets(self, line: bytes) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture
async def memory() -> AsyncIterator[Memory]:
    memory = Memory()
    yield memory
    memory.close()


async def test_a_sentry_is_lent_what_was_made_ready_once(memory: Memory) -> None:
    sentry, other = Asker(memory), Asker(memory)
    async with AsyncExitStack() as belongings:
        lent = memory.lend(sentry.process.pid, belongings)
        assert lent
        await lent.fill(PLACES, ["nice"])
        assert await other.gets("runsc-memory") == "own"
        assert await sentry.gets("systrap-memory") == "own"
        assert await sentry.gets("runsc-memory", os.MFD_CLOEXEC) == "own"
        assert int(await sentry.gets("runsc-memory")) >= size(PLACES)
        assert await sentry.gets("runsc-memory") == "own"
    sentry.end()
    other.end()


async def test_what_a_sentry_did_not_ask_for_is_given_back(memory: Memory) -> None:
    sentry = Asker(memory)
    before = descriptors()
    async with AsyncExitStack() as belongings:
        lent = memory.lend(sentry.process.pid, belongings)
        assert lent
        await lent.fill(PLACES, ["nice"])
        assert descriptors() > before
    assert descriptors() == before
    assert await sentry.gets("runsc-memory") == "own"
    sentry.end()


async def test_where_its_memory_lies_is_known_if_that_is_in_few_places(memory: Memory) -> None:
    sentry = Asker(memory)
    async with AsyncExitStack() as belongings:
        lent = memory.lend(sentry.process.pid, belongings)
        assert lent
        await lent.fill(PLACES, ["nice"])
        assert lent.filled() == PLACES
    async with AsyncExitStack() as belongings:
        scattered = memory.lend(sentry.process.pid, belongings)
        assert scattered
        await scattered.fill(tuple((4 * MIB * n, 4 * MIB * n + MIB) for n in range(100)), ["nice"])
        before = descriptors()
        assert scattered.filled() == ()
        assert descriptors() < before
    sentry.end()


async def test_a_server_whose_calls_somebody_else_answers_starts_sentries_as_ever(memory: Memory) -> None:
    """The kernel allows one to listen."""
    nested = memory.start([sys.executable, "-c", NESTED], stdout=subprocess.PIPE, env=os.environ)
    out, _ = await asyncio.to_thread(nested.communicate)
    assert (nested.returncode, out) == (0, b"0\n")
