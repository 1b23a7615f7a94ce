"""The contract of snapshots: what they keep, what goes on, and what is refused."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, room, shell
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Limits,
    Mount,
    Process,
    Relay,
    Sandbox,
    SandboxDriver,
    SandboxError,
    SandboxGone,
    SandboxPaused,
    SandboxSpec,
    TerminalSize,
)

_KERNEL = """
import sys
state = {}
for line in sys.stdin:
    exec(line, state)
    print(state.get("x"), flush=True)
"""
_COUNT = "import itertools\nfor n in itertools.count(): print(n, flush=True)"
_LOG = """
import itertools, time
for n in itertools.count():
    with open("/mnt/data/log", "a") as log: print(n, file=log)
    time.sleep(0.001)
"""
_SERVER = """
import asyncio, importlib, sys
from pathlib import Path
from innkeeper.engines.sandbox.sandbox import Command, SandboxSpec

async def serve():
    module, name, state, sandbox_id, folder, doing = sys.argv[1:]
    driver = getattr(importlib.import_module(module), name)(Path(state))
    if doing == "restore":
        print("begins", flush=True)
        await driver.restore(Path(folder), SandboxSpec(sandbox_id))
        await asyncio.sleep(1000)
    sandbox = await driver.create(SandboxSpec(sandbox_id))
    await sandbox.write_file("note", b"x" * 30_000_000)
    print("begins", flush=True)
    for number in range(1000):
        await sandbox.snapshot(Path(folder, str(number)))

asyncio.run(serve())
"""


async def _snapshots(driver: SandboxDriver) -> None:
    if not (await driver.probe()).can_snapshot:
        pytest.skip(f"the {driver.name} driver takes no snapshots here")


@asynccontextmanager
async def _going_on(driver: SandboxDriver, folder: Path, **spec: Any) -> AsyncIterator[Sandbox]:
    """A new sandbox that goes on from the snapshot, killed at the end."""
    sandbox = await driver.restore(folder, SandboxSpec(f"test-{secrets.token_hex(6)}", **spec))
    try:
        yield sandbox
    finally:
        await sandbox.kill()


async def _kernel(sandbox: Sandbox) -> Process:
    return await sandbox.exec(Command(["python3", "-c", _KERNEL]))


async def _told(kernel: Process, line: str) -> str:
    kernel.stdin.write(line.encode() + b"\n")
    return (await heard(kernel.stdout, b"\n")).decode().strip()


async def _counted(counter: Process, number: int, lines: int) -> int:
    """Read so many lines, each of which must count on from `number`; the number that must come next."""
    for expected in range(number, number + lines):
        assert int(await heard(counter.stdout, b"\n")) == expected
    return number + lines


async def _grown(log: Path, lines: int) -> None:
    """Return once it has so many lines more."""
    wanted = len(_lines(log)) + lines
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(_lines(log)) < wanted:  # noqa: ASYNC110 (files tell nobody)
            await asyncio.sleep(0.01)


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


class SnapshotContract:
    async def test_what_goes_on_inside_is_kept_and_goes_on_twice(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        await _snapshots(driver)
        folder = tmp_path / "moment"
        async with room(driver, environment={"NAME": "first"}) as sandbox:
            kernel, sleeper = await _kernel(sandbox), await sandbox.exec(Command(["sleep", "1000"]))
            assert await _told(kernel, "x = 41") == "41"
            await sandbox.write_file("note", b"at the moment")
            await sandbox.snapshot(folder)
            async with (
                _going_on(driver, folder, environment={"NAME": "one"}) as one,
                _going_on(driver, folder, environment={"NAME": "two"}) as two,
            ):
                kernels = [kernel, one.process(kernel.id), two.process(kernel.id)]
                rooms = [sandbox, one, two]
                for number, (each, inside) in enumerate(zip(kernels, rooms, strict=True)):
                    assert await _told(each, f"x += {number}") == str(41 + number)
                    assert await inside.read_file("note") == b"at the moment"
                    await inside.write_file("note", b"%d" % number)
                for number, (each, inside) in enumerate(zip(kernels, rooms, strict=True)):
                    assert await _told(each, "") == str(41 + number)
                    assert await inside.read_file("note") == b"%d" % number
                assert (await shell(one, "echo $NAME")).text == "one"
                with pytest.raises(SandboxError, match="taken"):
                    one.process(kernel.id)
                with pytest.raises(SandboxError, match="no process"):
                    one.process(10_000)
                await one.process(sleeper.id).signal(signal.SIGTERM)
                last = two.process(sleeper.id)
                await last.signal(signal.SIGKILL)
                assert await last.wait() == -signal.SIGKILL
                assert (await shell(sandbox, "echo $NAME")).text == "first"
                await sleeper.signal(signal.SIGINT)
                assert await sleeper.wait() == -signal.SIGINT

    async def test_no_byte_of_a_busy_process_is_lost_or_doubled(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        await _snapshots(driver)
        async with room(driver) as sandbox:
            counter = await sandbox.exec(Command(["python3", "-c", _COUNT]))
            echo = await sandbox.exec(Command(["cat"]))
            sent = secrets.token_bytes(3_000_000)
            echo.stdin.write(sent)
            echo.stdin.write_eof()
            echoed = asyncio.create_task(echo.stdout.read())
            number = await _counted(counter, 0, 1000)
            for name in ("one", "two"):
                taking = asyncio.create_task(sandbox.snapshot(tmp_path / name))
                number = await _counted(counter, number, 5000)
                await asyncio.wait_for(taking, PATIENCE_SECONDS)
            await _counted(counter, number, 20_000)
            assert await asyncio.wait_for(echoed, PATIENCE_SECONDS) == sent
            assert await echo.wait() == 0
            async with _going_on(driver, tmp_path / "two") as other:
                going = other.process(counter.id)
                await heard(going.stdout, b"\n")  # its beginning may have gone to the first host
                begun = int(await heard(going.stdout, b"\n"))
                await _counted(going, begun + 1, 20_000)

    async def test_writes_between_many_cycles_are_all_there(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        await _snapshots(driver)
        sandbox = await driver.create(SandboxSpec("cycle-0"))
        kernel = await _kernel(sandbox)
        await _told(kernel, "x = []")
        for cycle in range(1, 6):
            await sandbox.write_file(f"note-{cycle}", b"%d" % cycle)
            await _told(kernel, f"x.append({cycle})")
            await sandbox.snapshot(tmp_path / str(cycle), keep_running=False)
            await asyncio.wait_for(sandbox.closed(), PATIENCE_SECONDS)
            sandbox = await driver.restore(tmp_path / str(cycle), SandboxSpec(f"cycle-{cycle}"))
            kernel = sandbox.process(kernel.id)
        assert await _told(kernel, "") == "[1, 2, 3, 4, 5]"
        for cycle in range(1, 6):
            assert await sandbox.read_file(f"note-{cycle}") == b"%d" % cycle
        await sandbox.kill()

    async def test_after_the_last_moment_of_a_sandbox_nothing_goes_on_in_it(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        await _snapshots(driver)
        mounts = [Mount(tmp_path / "shared", "/mnt/data", writable=True)]
        log = tmp_path / "shared" / "log"
        log.parent.mkdir()
        sandbox = await driver.create(SandboxSpec(f"test-{secrets.token_hex(6)}", mounts))
        await sandbox.exec(Command(["python3", "-c", _LOG]))
        await _grown(log, 20)
        await sandbox.snapshot(tmp_path / "moment", keep_running=False)
        await asyncio.wait_for(sandbox.closed(), PATIENCE_SECONDS)
        async with _going_on(driver, tmp_path / "moment", mounts=mounts):
            await _grown(log, 20)
        lines = _lines(log)
        assert lines == [str(number) for number in range(len(lines))]

    async def test_connections_end_and_can_be_made_again(self, driver: SandboxDriver, tmp_path: Path) -> None:
        """Those of a relay lead to where the sandbox that goes on is told to."""
        await _snapshots(driver)
        serve = "import socket\ns = socket.create_server(('127.0.0.1', 8080))\nprint('up', flush=True)\n"
        serve += "while True: s.accept()[0].send(b'inside')"
        ask = "python3 -c \"import socket; print(socket.create_connection(('127.0.0.1', 9000)).recv(9))\""
        async with (
            _answering(b"first") as first,
            _answering(b"other") as other,
            room(driver, relays=[Relay(9000, "127.0.0.1", first)]) as sandbox,
        ):
            server = await sandbox.exec(Command(["python3", "-c", serve]))
            await heard(server.stdout, b"up\n")
            reader, writer = await asyncio.open_connection(sock=await sandbox.dial(8080))
            assert await heard(reader, b"inside") == b"inside"
            await sandbox.snapshot(tmp_path / "moment")
            assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
            writer.close()
            relays = [Relay(9000, "127.0.0.1", other)]
            async with _going_on(driver, tmp_path / "moment", relays=relays) as child:
                for each, answer in ((sandbox, "b'first'"), (child, "b'other'")):
                    assert (await shell(each, ask)).text == answer
                    reader, writer = await asyncio.open_connection(sock=await each.dial(8080))
                    assert await heard(reader, b"inside") == b"inside"
                    writer.close()

    async def test_a_paused_sandbox_stays_paused_and_a_terminal_is_kept(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        await _snapshots(driver)
        async with room(driver) as sandbox:
            typed = await sandbox.exec(Command(["sh"], terminal=TerminalSize(80, 24)))
            typed.stdin.write(b"x=4; echo be''gun\n")
            await heard(typed.stdout, b"begun")
            await sandbox.pause()
            await sandbox.snapshot(tmp_path / "moment")
            with pytest.raises(SandboxPaused):
                await sandbox.read_file("note")
            async with _going_on(driver, tmp_path / "moment") as other:
                terminal = other.process(typed.id)
                await terminal.resize(TerminalSize(100, 30))
                terminal.stdin.write(b"stty size; echo $x''2\n")
                shown = await heard(terminal.stdout, b"42")
                assert b"30 100" in shown
                terminal.close()
                assert await asyncio.wait_for(terminal.wait(), PATIENCE_SECONDS) == -signal.SIGHUP
            await sandbox.resume()
            typed.stdin.write(b"exit $x\n")
            assert await asyncio.wait_for(typed.wait(), PATIENCE_SECONDS) == 4

    async def test_a_snapshot_outlives_its_server_and_what_does_not_fit_is_refused(
        self, driver: SandboxDriver, state_dir: Path, tmp_path: Path
    ) -> None:
        await _snapshots(driver)
        folder = tmp_path / "moment"
        async with room(driver) as sandbox:
            await sandbox.write_file("note", b"kept")
            await sandbox.snapshot(folder)
            await sandbox.snapshot(tmp_path / "draft", durable=False)
            brief = (tmp_path / "draft").rename(tmp_path / "brief")
            with pytest.raises(SandboxError, match="exists already"):
                await sandbox.snapshot(folder)
            with pytest.raises(SandboxError):
                await sandbox.snapshot(tmp_path / "no such" / "folder")
            assert await sandbox.read_file("note") == b"kept"
        later: SandboxDriver = type(driver)(state_dir.with_name("later"))  # type: ignore[call-arg]
        async with _going_on(driver, brief) as other:
            assert await other.read_file("note") == b"kept"
        await _refused(later, brief, "server")
        async with _going_on(later, folder, limits=Limits(memory_mib=512, cpu_cores=1)) as other:
            assert await other.read_file("note") == b"kept"
        await _refused(later, folder, "scratch_mib", limits=Limits(scratch_mib=7))
        await _refused(later, folder, "mounts", mounts=[Mount(tmp_path, "/mnt/data")])
        await _refused(later, tmp_path / "nothing", "no snapshot")
        largest = max(folder.iterdir(), key=lambda path: path.stat().st_size)
        with largest.open("r+b") as file:
            file.seek(4096)
            file.write(b"damage")
        await _refused(later, folder, "damaged")
        await later.close()

    async def test_killing_while_it_is_written_leaves_nothing(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        await _snapshots(driver)
        for patience in (0, 0.02, 0.1):
            places = tmp_path / f"after-{patience}"
            places.mkdir()
            async with room(driver) as sandbox:
                taking = asyncio.create_task(sandbox.snapshot(places / "moment"))
                await asyncio.sleep(patience)
                await asyncio.wait_for(sandbox.kill(), PATIENCE_SECONDS)
                try:
                    await taking
                    left = ["moment"]  # it was quicker than we
                except SandboxGone:
                    left = []
            assert os.listdir(places) == left  # noqa: PTH208

    @pytest.mark.parametrize("doing", ["snapshot", "restore"])
    async def test_a_server_that_dies_meanwhile_leaves_no_half(
        self, driver: SandboxDriver, state_dir: Path, tmp_path: Path, doing: str
    ) -> None:
        await _snapshots(driver)
        folder = tmp_path / "moments"
        if doing == "restore":
            async with room(driver) as sandbox:
                await sandbox.write_file("note", b"kept")
                await sandbox.snapshot(folder)
        else:
            folder.mkdir()
        for patience in (0.05, 0.4):
            sandbox_id = await _killed(driver, state_dir, folder, doing, patience)
            assert set(await driver.reap()) <= {sandbox_id}
            assert await driver.reap() == []
        whole = [folder] if doing == "restore" else sorted(folder.iterdir())
        for each in whole[-2:]:
            assert not each.name.startswith(".")
            async with _going_on(driver, each) as other:
                assert await other.read_file("note") in (b"kept", b"x" * 30_000_000)


async def _killed(driver: SandboxDriver, state_dir: Path, folder: Path, doing: str, patience: float) -> str:
    """The id of the sandbox of a server that was killed while it was doing that."""
    sandbox_id, kind = f"test-{secrets.token_hex(6)}", type(driver)
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SERVER, kind.__module__, kind.__qualname__),
        *(str(state_dir), sandbox_id, str(folder), doing),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert server.stdout is not None
    await heard(server.stdout, b"begins")
    await asyncio.sleep(patience)
    server.kill()
    await server.wait()
    return sandbox_id


async def _refused(driver: SandboxDriver, folder: Path, reason: str, **spec: Any) -> None:
    with pytest.raises(SandboxError, match=reason):
        async with _going_on(driver, folder, **spec):
            pass


@asynccontextmanager
async def _answering(words: bytes) -> AsyncIterator[int]:
    """The port of a server of this host that says this to everyone."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, family=socket.AF_INET)
    async with server:
        yield server.sockets[0].getsockname()[1]
