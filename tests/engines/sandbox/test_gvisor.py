"""The gvisor driver keeps the contract, and leaves no trace on the host."""

import asyncio
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.contract import SandboxContract
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, room, run, shell
from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver, missing
from innkeeper.engines.sandbox.records import ProcessMark
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Isolation,
    Limits,
    Mount,
    Relay,
    SandboxError,
    SandboxGone,
    TerminalSize,
)

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "it can be used here")


def processes_of(state_dir: Path) -> list[str]:
    """Command lines on this host that name the driver's state folder: runsc, its sentry and its gofer do."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(state_dir) in line and "runsc" in line:
            found.append(line)
    return found


async def vanished(state_dir: Path) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while processes_of(state_dir):  # noqa: ASYNC110 (there is nobody who would tell)
            await asyncio.sleep(0.05)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def marks_of(state_dir: Path, sandbox_id: str) -> list[ProcessMark]:
    document = json.loads((state_dir / "sandboxes" / f"{sandbox_id}.json").read_text())
    return [ProcessMark(**each) for each in document["processes"]]


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def driver(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GvisorDriver]:
    """At the end of each test nothing is left of its sandboxes."""
    made: list[Cgroup] = []
    make = Cgroup.make

    def noting(group: Cgroup, limits: Limits) -> None:
        made.append(group)
        make(group, limits)

    monkeypatch.setattr(Cgroup, "make", noting)
    open_before = descriptors()
    driver = GvisorDriver(state_dir)
    yield driver
    await driver.close()
    await vanished(state_dir)
    assert [path for group in made for path in group.paths if Path(path).exists()] == []
    assert [path for part in ("sandboxes", "bundles") for path in (state_dir / part).glob("*")] == []
    await asyncio.sleep(0)
    assert descriptors() == open_before


class TestGvisor(SandboxContract):
    """The whole contract."""


class TestWalls:
    async def test_the_agent_has_a_kernel_of_its_own(self, driver: GvisorDriver) -> None:
        assert (await driver.probe()).isolation is Isolation.USER_KERNEL
        async with room(driver) as sandbox:
            assert (await shell(sandbox, "uname -r")).text != os.uname().release

    async def test_the_doors_are_shut_to_the_agent(self, driver: GvisorDriver) -> None:
        async with room(driver) as sandbox:
            assert (await shell(sandbox, "ls /run/innkeeper/doors")).code != 0
            with pytest.raises(PermissionError):
                await sandbox.read_file("/run/innkeeper/doors/0")

    async def test_what_the_agent_writes_is_the_servers(self, driver: GvisorDriver, tmp_path: Path) -> None:
        storage = tmp_path / "storage"
        storage.mkdir(mode=0o700)
        async with room(driver, mounts=[Mount(storage, "/mnt/data", True)]) as sandbox:
            assert (
                await shell(sandbox, "echo x > /mnt/data/mine && stat -c %U /mnt/data/mine")
            ).text == "agent"
        assert (storage / "mine").stat().st_uid == os.getuid()


class TestSnapshots:
    @pytest.mark.parametrize("keep_running", [True, False])
    async def test_what_cannot_be_snapshotted_is_refused_in_a_line_and_goes_on(
        self, driver: GvisorDriver, tmp_path: Path, keep_running: bool
    ) -> None:
        (tmp_path / "storage").mkdir()
        async with room(driver, mounts=[Mount(tmp_path / "storage", "/mnt/data", True)]) as sandbox:
            script = "echo x > /mnt/data/y; exec 5</mnt/data/y; rm /mnt/data/y; echo up; read x; echo on"
            process = await sandbox.exec(Command(["sh", "-c", script]))
            await heard(process.stdout, b"up\n")
            with pytest.raises(SandboxError, match=r"^a process has a deleted file of a mount open$"):
                await sandbox.snapshot(tmp_path / "moment", keep_running=keep_running)
            assert os.listdir(tmp_path / "storage") == []  # noqa: PTH208
            assert list(tmp_path.glob("*moment*")) == []
            process.stdin.write(b"\n")
            assert await heard(process.stdout, b"on\n") == b"on\n"
            process.close()


class TestEnds:
    @pytest.mark.parametrize("name", ["runsc", "runsc-sandbox", "runsc-gofer"])
    async def test_a_sandbox_whose_process_is_killed_is_gone(
        self, driver: GvisorDriver, state_dir: Path, name: str
    ) -> None:
        network = max((await driver.probe()).networks)
        async with room(driver, network=network) as sandbox:
            process = await sandbox.exec(Command(["sleep", "1000"]))
            os.kill(_victim(state_dir, name), signal.SIGKILL)
            await asyncio.wait_for(sandbox.closed(), PATIENCE_SECONDS)
            with pytest.raises(SandboxGone):
                await process.wait()
            process.close()
        await vanished(state_dir)

    async def test_a_network_ends_with_its_sandbox(self, driver: GvisorDriver, state_dir: Path) -> None:
        network = max((await driver.probe()).networks)
        async with room(driver, network=network) as sandbox:
            marks = marks_of(state_dir, sandbox.id)
            assert all(mark.alive for mark in marks)
        assert not any(mark.alive for mark in marks)

    async def test_ten_sandboxes_come_and_go_together(self, driver: GvisorDriver) -> None:
        async def live(number: int) -> str:
            async with room(driver) as sandbox:
                return (await run(sandbox, "echo", str(number))).text

        assert await asyncio.gather(*map(live, range(10))) == [str(number) for number in range(10)]


def _victim(state_dir: Path, name: str) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            first, *rest = (entry / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if first == name and any(str(state_dir) in argument for argument in rest):
            return int(entry.name)
    raise AssertionError(f"no {name} runs")


class TestOnUvloop:
    """The loop that the server runs on has pipes and terminals of its own."""

    def test_processes_terminals_and_connections_work(self, state_dir: Path) -> None:
        uvloop.run(self._visit(state_dir))

    async def _visit(self, state_dir: Path) -> None:
        driver = GvisorDriver(state_dir)
        name = f"test-{secrets.token_hex(6)}"
        try:
            async with room(driver, relays=[Relay(9000, "127.0.0.1", 1)]) as sandbox:
                data = os.urandom(1_000_000)
                assert (await run(sandbox, "cat", stdin=data)).out == data
                command = Command(["sh", "-c", 'read line; echo "<$line>"; exit 5'], terminal=TerminalSize())
                process = await sandbox.exec(command)
                process.stdin.write(b"hello\n")
                assert b"<hello>" in await process.stdout.read()
                assert await process.wait() == 5
                process.close()
                with pytest.raises(ConnectionRefusedError):
                    await sandbox.dial(8080)
                (await sandbox.dial(9000)).close()
                await sandbox.write_file(name, b"x")
                assert await sandbox.read_file(name) == b"x"
        finally:
            await driver.close()
