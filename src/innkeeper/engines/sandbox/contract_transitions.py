"""The contract of pausing and resuming."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, python, room, shell
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Network,
    Sandbox,
    SandboxDriver,
    SandboxGone,
    SandboxPaused,
    SandboxSpec,
)

_COUNT = """
import socket, threading, time
count = 0
def burn():
    global count
    while True:
        count += 1
threading.Thread(target=burn, daemon=True).start()
server = socket.create_server(("127.0.0.1", 8080))
print("up", flush=True)
client, _ = server.accept()
while client.recv(1):
    client.send(b"%d\\n" % count)
"""
_SERVER = """
import asyncio, importlib, sys
from pathlib import Path
from innkeeper.engines.sandbox.sandbox import Command, Network, SandboxSpec

async def serve():
    module, name, state, sandbox_id = sys.argv[1:]
    driver = getattr(importlib.import_module(module), name)(Path(state))
    network = max((await driver.probe()).networks)
    sandbox = await driver.create(SandboxSpec(sandbox_id, network=network))
    (await sandbox.exec(Command(["sh", "-c", "while :; do :; done"]))).close()
    await sandbox.pause()
    print("paused", flush=True)
    await asyncio.sleep(1000)

asyncio.run(serve())
"""


async def _pausing(driver: SandboxDriver) -> Network:
    """The richest network there is; skips where sandboxes cannot be paused."""
    capabilities = await driver.probe()
    if not capabilities.can_pause:
        pytest.skip("sandboxes cannot be paused here: " + "; ".join(capabilities.problems))
    return max(capabilities.networks)


async def _refused(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxPaused):
        await sandbox.exec(Command(["true"]))
    with pytest.raises(SandboxPaused):
        await sandbox.dial(8080)
    with pytest.raises(SandboxPaused):
        await sandbox.read_file("/etc/passwd")
    with pytest.raises(SandboxPaused):
        await sandbox.write_file("x", b"")


async def _used(sandbox: Sandbox, seconds: float) -> float:
    """Processor time that the sandbox takes while that time passes."""
    before = (await sandbox.usage()).cpu_seconds
    await asyncio.sleep(seconds)
    return (await sandbox.usage()).cpu_seconds - before


class TransitionContract:
    async def test_a_paused_sandbox_stands_still_and_goes_on_where_it_was(
        self, driver: SandboxDriver
    ) -> None:
        network = await _pausing(driver)
        async with room(driver, network=network) as sandbox:
            server = await sandbox.exec(Command(["python3", "-c", _COUNT]))
            await heard(server.stdout, b"up")
            reader, writer = await asyncio.open_connection(sock=await sandbox.dial(8080))
            writer.write(b"?")
            before = int(await heard(reader, b"\n"))
            await sandbox.pause()
            assert await _used(sandbox, 0.3) == 0
            writer.write(b"?")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.2)
            await sandbox.resume()
            assert int(await heard(reader, b"\n")) >= before
            writer.close()
            server.close()

    async def test_a_paused_sandbox_says_so(self, driver: SandboxDriver) -> None:
        await _pausing(driver)
        async with room(driver) as sandbox:
            sleeper = await sandbox.exec(Command(["sleep", "1000"]))
            await sandbox.pause()
            await _refused(sandbox)
            with pytest.raises(SandboxPaused):
                await sleeper.signal(signal.SIGTERM)
            await sandbox.resume()
            await sleeper.signal(signal.SIGTERM)
            assert await sleeper.wait() == -signal.SIGTERM
            sleeper.close()

    async def test_both_may_be_repeated(self, driver: SandboxDriver) -> None:
        await _pausing(driver)
        async with room(driver) as sandbox:
            await sandbox.resume()
            await asyncio.gather(sandbox.pause(), sandbox.pause())
            await sandbox.pause()
            await _refused(sandbox)
            await asyncio.gather(sandbox.resume(), sandbox.resume())
            await sandbox.resume()
            assert (await shell(sandbox, "echo awake")).text == "awake"

    async def test_nothing_written_is_lost_over_many_cycles(self, driver: SandboxDriver) -> None:
        await _pausing(driver)
        async with room(driver) as sandbox:
            script = "import itertools\nfor n in itertools.count(): print(n, flush=True)"
            counter = await sandbox.exec(Command(["python3", "-c", script]))
            for cycle in range(6):
                await sandbox.write_file(f"note-{cycle}", b"%d" % cycle)
                await sandbox.pause()
                await sandbox.resume()
            for cycle in range(6):
                assert await sandbox.read_file(f"note-{cycle}") == b"%d" % cycle
            for number in range(20_000):
                assert int(await asyncio.wait_for(counter.stdout.readline(), PATIENCE_SECONDS)) == number
            counter.close()

    async def test_pausing_under_load_loses_no_byte(self, driver: SandboxDriver) -> None:
        await _pausing(driver)
        async with room(driver) as sandbox:
            script = "head -c 20000000 /dev/zero & for n in $(seq 100); do sh -c 'sleep 0.01' & done; wait"
            work = await sandbox.exec(Command(["sh", "-c", script]))
            output = asyncio.create_task(work.stdout.read())
            for _ in range(10):
                await sandbox.pause()
                await asyncio.sleep(0.01)
                await sandbox.resume()
                await asyncio.sleep(0.01)
            assert len(await asyncio.wait_for(output, PATIENCE_SECONDS)) == 20_000_000
            assert await work.wait() == 0
            work.close()

    async def test_a_call_under_way_waits_until_it_goes_on(self, driver: SandboxDriver) -> None:
        await _pausing(driver)
        async with room(driver) as sandbox:
            calls = [asyncio.create_task(shell(sandbox, f"echo {number}")) for number in range(10)]
            await asyncio.sleep(0)
            await sandbox.pause()
            await asyncio.sleep(0.1)
            await sandbox.resume()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            for number, answer in enumerate(answers):
                if isinstance(answer, BaseException):
                    assert isinstance(answer, SandboxPaused)
                else:
                    assert answer.text == str(number)

    async def test_a_neighbour_goes_on(self, driver: SandboxDriver) -> None:
        await _pausing(driver)
        async with room(driver) as sandbox, room(driver) as neighbour:
            await sandbox.pause()
            assert (await python(neighbour, "print(sum(range(1000)))")).text == "499500"

    async def test_killing_a_paused_sandbox_ends_it(self, driver: SandboxDriver) -> None:
        network = await _pausing(driver)
        async with room(driver, network=network) as sandbox:
            process = await sandbox.exec(Command(["sh", "-c", "trap '' TERM; while :; do :; done"]))
            await sandbox.pause()
            await asyncio.wait_for(sandbox.kill(), PATIENCE_SECONDS)
            await asyncio.wait_for(sandbox.closed(), PATIENCE_SECONDS)
            with pytest.raises(SandboxGone):
                await process.wait()
            with pytest.raises(SandboxGone):
                await sandbox.pause()
            with pytest.raises(SandboxGone):
                await sandbox.resume()
            process.close()

    async def test_killing_while_it_pauses_ends_it(self, driver: SandboxDriver) -> None:
        await _pausing(driver)
        for patience in (0, 0.0005, 0.002):
            async with room(driver) as sandbox:
                pausing = asyncio.create_task(sandbox.pause())
                await asyncio.sleep(patience)
                await asyncio.wait_for(sandbox.kill(), PATIENCE_SECONDS)
                with contextlib.suppress(SandboxGone):
                    await pausing

    async def test_giving_up_while_it_pauses_leaves_it_awake(self, driver: SandboxDriver) -> None:
        await _pausing(driver)
        async with room(driver) as sandbox:
            pausing = asyncio.create_task(sandbox.pause())
            await asyncio.sleep(0)
            if pausing.cancel():
                await asyncio.wait({pausing})
            if not pausing.cancelled():
                await sandbox.resume()
            assert (await shell(sandbox, "echo awake")).text == "awake"

    async def test_a_server_that_dies_leaves_no_frozen_sandbox(
        self, driver: SandboxDriver, state_dir: Path
    ) -> None:
        await _pausing(driver)
        sandbox_id = f"test-{secrets.token_hex(6)}"
        kind = type(driver)
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _SERVER, kind.__module__, kind.__qualname__, str(state_dir), sandbox_id),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert server.stdout is not None
        await heard(server.stdout, b"paused")
        server.kill()
        await server.wait()
        assert await driver.reap() == [sandbox_id]
        assert await driver.reap() == []
        await (await driver.create(SandboxSpec(sandbox_id))).kill()
