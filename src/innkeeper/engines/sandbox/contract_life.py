"""The contract of a sandbox's life: beginning whole, ending at once, and leaving nothing."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, room, shell
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Mount,
    Sandbox,
    SandboxDriver,
    SandboxError,
    SandboxGone,
    SandboxSpec,
)

_SERVER = """
import asyncio, importlib, sys
from pathlib import Path
from innkeeper.engines.sandbox.sandbox import Command, Network, SandboxSpec

async def serve():
    module, name, state, *ids = sys.argv[1:]
    driver = getattr(importlib.import_module(module), name)(Path(state))
    network = max((await driver.probe()).networks)
    for sandbox_id in ids:
        sandbox = await driver.create(SandboxSpec(sandbox_id, network=network))
        (await sandbox.exec(Command(["sh", "-c", "sleep 1000 & sleep 1000"]))).close()
    print("serving", flush=True)
    await asyncio.sleep(1000)

asyncio.run(serve())
"""


async def _gone(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxGone):
        await sandbox.exec(Command(["true"]))
    with pytest.raises(SandboxGone):
        await sandbox.dial(8080)
    with pytest.raises(SandboxGone):
        await sandbox.read_file("/etc/passwd")
    with pytest.raises(SandboxGone):
        await sandbox.write_file("x", b"")


class LifeContract:
    async def test_the_driver_can_be_used_here(self, driver: SandboxDriver) -> None:
        capabilities = await driver.probe()
        assert capabilities.usable, capabilities.problems

    async def test_killing_ends_everything_and_may_be_repeated(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            process = await sandbox.exec(
                Command(["sh", "-c", "trap '' TERM INT HUP; sleep 1000 & sleep 1000"])
            )
            await asyncio.gather(sandbox.kill(), sandbox.kill())
            await sandbox.kill()
            await asyncio.wait_for(sandbox.closed(), PATIENCE_SECONDS)
            assert await process.stdout.read() == b""
            process.close()
            await _gone(sandbox)

    async def test_closed_returns_when_the_sandbox_ends(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            closed = asyncio.create_task(sandbox.closed())
            assert (await shell(sandbox, "exit 0")).code == 0
            assert not closed.done()
            await sandbox.kill()
            await asyncio.wait_for(closed, PATIENCE_SECONDS)

    async def test_a_connection_breaks_when_the_sandbox_ends(self, driver: SandboxDriver) -> None:
        serve = (
            "import socket, time; s = socket.create_server(('127.0.0.1', 8080));"
            "print('up', flush=True); c, _ = s.accept(); c.send(b'hi'); time.sleep(1000)"
        )
        async with room(driver) as sandbox:
            server = await sandbox.exec(Command(["python3", "-c", serve]))
            await heard(server.stdout, b"up")
            reader, writer = await asyncio.open_connection(sock=await sandbox.dial(8080))
            await heard(reader, b"hi")
            await sandbox.kill()
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
            writer.close()
            server.close()

    async def test_a_failed_beginning_leaves_nothing(self, driver: SandboxDriver, tmp_path: Path) -> None:
        sandbox_id = f"test-{secrets.token_hex(6)}"
        for mount in (
            Mount(tmp_path / "missing", "/mnt/x"),
            Mount(tmp_path, "relative"),
            Mount(tmp_path, "/mnt/../../up"),
            Mount(tmp_path, "/"),
            Mount(tmp_path, "/proc/self/nowhere"),
        ):
            with pytest.raises(SandboxError):
                await driver.create(SandboxSpec(sandbox_id, mounts=[mount]))
        sandbox = await driver.create(SandboxSpec(sandbox_id))
        assert (await shell(sandbox, "echo fine")).text == "fine"
        await sandbox.kill()

    async def test_giving_up_while_it_begins_leaves_nothing(self, driver: SandboxDriver) -> None:
        sandbox_id = f"test-{secrets.token_hex(6)}"
        for patience in (0, 0.001, 0.005, 0.01, 0.02):
            beginning = asyncio.create_task(driver.create(SandboxSpec(sandbox_id)))
            await asyncio.sleep(patience)
            if beginning.cancel():
                await asyncio.wait({beginning})
            if not beginning.cancelled():
                await (await beginning).kill()
        sandbox = await driver.create(SandboxSpec(sandbox_id))
        await sandbox.kill()

    async def test_an_id_is_used_once_at_a_time(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            with pytest.raises(SandboxError, match=sandbox.id):
                await driver.create(SandboxSpec(sandbox.id))
            assert (await shell(sandbox, "echo unharmed")).text == "unharmed"
        again = await driver.create(SandboxSpec(sandbox.id))
        await again.kill()

    @pytest.mark.parametrize("bad", ["", "../up", "a b", "x" * 65, "ä", "a\0"])
    async def test_ids_are_plain(self, driver: SandboxDriver, bad: str) -> None:
        with pytest.raises(SandboxError, match="id"):
            await driver.create(SandboxSpec(bad))

    async def test_closing_the_driver_ends_all(self, driver: SandboxDriver) -> None:
        ids = [f"test-{secrets.token_hex(6)}" for _ in range(5)]
        sandboxes = await asyncio.gather(*(driver.create(SandboxSpec(each)) for each in ids))
        await driver.close()
        for sandbox in sandboxes:
            await asyncio.wait_for(sandbox.closed(), PATIENCE_SECONDS)
            await _gone(sandbox)

    async def test_reaping_spares_what_lives(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            assert await driver.reap() == []
            assert (await shell(sandbox, "echo alive")).text == "alive"

    async def test_what_a_killed_server_leaves_is_reaped(
        self, driver: SandboxDriver, state_dir: Path
    ) -> None:
        ids = sorted(f"test-{secrets.token_hex(6)}" for _ in range(3))
        kind = type(driver)
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _SERVER, kind.__module__, kind.__qualname__, str(state_dir), *ids),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert server.stdout is not None
        await heard(server.stdout, b"serving")
        server.send_signal(signal.SIGKILL)
        await server.wait()
        assert sorted(await driver.reap()) == ids
        assert await driver.reap() == []
        for each in ids:
            await (await driver.create(SandboxSpec(each))).kill()
