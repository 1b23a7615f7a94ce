"""A process in a gVisor sandbox may hold a line to the host, but not while a snapshot is taken."""

import asyncio
import secrets
from pathlib import Path

import pytest
import uvloop

from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS
from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver, missing
from innkeeper.engines.sandbox.sandbox import Command, Process, Sandbox, SandboxError, SandboxSpec

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "it can be used here")

RUN = secrets.token_hex(4)
# Answers each word with the way that it came by. After `keep`, it does not let go of its line any more.
LISTENING = """
import os, select, socket
door = socket.socket(socket.AF_UNIX)
door.bind(f"\\0line-{os.getpid()}")
door.listen()
os.write(1, b"ready\\n")
line, kept = -1, None
while True:
    ready, _, _ = select.select([0, door] + ([line] if line >= 0 else []), [], [])
    if 0 in ready:
        words = os.read(0, 65536)
        os.write(line if line >= 0 else 1, b"wire:" + words)
    if line in ready:
        words = os.read(line, 65536)
        if words == b"keep\\n":
            kept = os.dup(line)
        if words:
            rest = memoryview(b"line:" + words)
            while rest:
                rest = rest[os.write(line, rest):]
        else:
            os.close(line)
            line = -1
    if door in ready:
        connection, _ = door.accept()
        line = socket.recv_fds(connection, 1, 1)[1][0]
        connection.close()
"""


async def asked(process: Process, word: str) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        process.stdin.write(f"{word}\n".encode())
        await process.stdin.drain()
        return (await process.stdout.readline()).decode().rstrip()


async def listening(sandbox: Sandbox) -> Process:
    process = await sandbox.exec(Command(["python3", "-c", LISTENING]))
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await process.stdout.readline() == b"ready\n"
    return process


def test_a_line_ends_for_a_snapshot_and_the_process_and_its_copy_get_another(tmp_path: Path) -> None:
    async def story() -> None:
        driver = GvisorDriver(tmp_path / "state")
        try:
            sandbox = await driver.create(SandboxSpec(f"first-{RUN}"))
            process = await listening(sandbox)
            assert await asked(process, "a") == "wire:a"
            for _ in range(2):
                await process.go_direct()
            assert await asked(process, "b") == "line:b"

            process.stdin.write(b"c\n")  # it is on its way while the line ends
            await sandbox.snapshot(tmp_path / "image")
            assert await process.stdout.readline() == b"line:c\n"
            assert await asked(process, "d") == "wire:d"
            await process.go_direct()
            assert await asked(process, "e") == "line:e"

            copy = await driver.restore(tmp_path / "image", SandboxSpec(f"second-{RUN}"))
            restored = copy.process(process.id)
            assert await asked(restored, "f") == "wire:f"
            await restored.go_direct()
            assert await asked(restored, "g") == "line:g"
            assert await asked(process, "h") == "line:h"

            await sandbox.pause()
            process.stdin.write(b"i\n")
            await sandbox.resume()
            assert await process.stdout.readline() == b"line:i\n"
        finally:
            await driver.close()

    uvloop.run(story())


def test_a_line_carries_much_and_one_that_is_not_let_go_of_refuses_the_snapshot_alone(tmp_path: Path) -> None:
    async def story() -> None:
        driver = GvisorDriver(tmp_path / "state")
        try:
            sandbox = await driver.create(SandboxSpec(f"much-{RUN}"))
            process = await listening(sandbox)
            await process.go_direct()
            sent = 8 << 20
            process.stdin.write(b"x" * sent)
            await asyncio.sleep(0.5)  # nobody reads: what comes back waits, and so does what is sent
            heard = 0
            async with asyncio.timeout(PATIENCE_SECONDS):
                while heard < sent:
                    heard += (await process.stdout.read(1 << 20)).count(b"x")

            silent = await sandbox.exec(Command(["cat"]))
            await silent.go_direct()  # it listens nowhere
            assert await asked(silent, "over the wire") == "over the wire"

            assert await asked(process, "keep") == "line:keep"
            with pytest.raises(SandboxError, match="does not let go of its line"):
                await sandbox.snapshot(tmp_path / "image")
            assert not (tmp_path / "image").exists()
            assert await asked(silent, "still") == "still"
            silent.close()
        finally:
            await driver.close()

    uvloop.run(story())
