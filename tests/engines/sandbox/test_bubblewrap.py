"""The bubblewrap driver keeps the contract, and what is its own: no trace on the host, root or not."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import uvloop

import innkeeper
from innkeeper.engines.sandbox import cgroups, landlock
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.contract import SandboxContract
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, room, run, shell
from innkeeper.engines.sandbox.contract_transitions import TransitionContract
from innkeeper.engines.sandbox.records import ProcessMark, Record, Records
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Limits,
    Network,
    Relay,
    Sandbox,
    SandboxGone,
    TerminalSize,
)

SERVER = """
import asyncio, sys
from pathlib import Path
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.sandbox import Command, SandboxSpec, Network

async def serve(state, *ids):
    driver = BubblewrapDriver(Path(state))
    network = max((await driver.probe()).networks)
    for each in ids:
        sandbox = await driver.create(SandboxSpec(each, network=network))
        (await sandbox.exec(Command(["sleep", "1000"]))).close()
    print("serving", flush=True)
    await asyncio.sleep(1000)

asyncio.run(serve(*sys.argv[1:]))
"""
ROOTLESS = """
import asyncio, ctypes, json, os, sys
from pathlib import Path
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.sandbox import Command, Mount, SandboxSpec

async def main(state, storage):
    driver = BubblewrapDriver(Path(state))
    capabilities = await driver.probe()
    sandbox = await driver.create(SandboxSpec("one", mounts=[Mount(Path(storage), "/mnt/data", True)]))
    await sandbox.write_file("/mnt/data/note", b"written")
    process = await sandbox.exec(Command(["id", "-u"]))
    said = await process.stdout.read()
    code = await process.wait()
    process.close()
    usage = await sandbox.usage()
    await driver.close()
    print(json.dumps([code, said.decode(), list(capabilities.networks), capabilities.enforces_limits,
                      usage.measured, list(capabilities.problems)]))

os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: what is in /proc of the process is its own again
asyncio.run(main(*sys.argv[1:]))
"""


def processes_of(state_dir: Path) -> list[str]:
    """Command lines on this host that name the driver's state folder: each bubblewrap does."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(state_dir) in line and "bwrap" in line:
            found.append(line)
    return found


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def closed_to(count: int) -> None:
    """Wait until no more descriptors are open: a transport closes its own when the loop comes to it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while descriptors() > count:  # noqa: ASYNC110 (there is nobody who would tell)
            await asyncio.sleep(0.01)


def marks_of(state_dir: Path, sandbox_id: str) -> dict[str, ProcessMark]:
    """The processes that the record of a sandbox names, by what they run."""
    document = json.loads((state_dir / "sandboxes" / f"{sandbox_id}.json").read_text())
    marks = [ProcessMark(**each) for each in document["processes"]]
    return {Path(f"/proc/{mark.pid}/comm").read_text().strip(): mark for mark in marks}


async def ended(mark: ProcessMark) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while mark.alive:  # noqa: ASYNC110 (there is nobody who would tell)
            await asyncio.sleep(0.01)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def driver(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BubblewrapDriver]:
    """At the end of each test nothing is left of its sandboxes: no process, group, record or descriptor."""
    made: list[Cgroup] = []
    make = Cgroup.make

    def noting(group: Cgroup, limits: Limits) -> None:
        made.append(group)
        make(group, limits)

    monkeypatch.setattr(Cgroup, "make", noting)
    open_before = descriptors()
    driver = BubblewrapDriver(state_dir)
    yield driver
    await driver.close()
    assert processes_of(state_dir) == []
    assert [path for group in made for path in group.paths if Path(path).exists()] == []
    assert list((state_dir / "sandboxes").glob("*")) == []
    await closed_to(open_before)


class TestBubblewrap(SandboxContract):
    """The whole contract."""


class TestFreezerOfVersion1(TransitionContract):
    """Where the kernel mounts both, version 2 freezes; here it is hidden."""

    @pytest.fixture(autouse=True)
    def hide_version_2(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lines = Path("/proc/self/mountinfo").read_text().splitlines(keepends=True)
        mountinfo = tmp_path / "mountinfo"
        mountinfo.write_text("".join(line for line in lines if " - cgroup2 " not in line))
        monkeypatch.setattr(cgroups, "open_hierarchies", partial(cgroups.open_hierarchies, mountinfo))


class TestEnds:
    """However a sandbox ends, all of it does."""

    @pytest.mark.parametrize("victim", ["bwrap", "python3"])
    async def test_a_sandbox_whose_process_is_killed_is_gone(
        self, driver: BubblewrapDriver, state_dir: Path, victim: str
    ) -> None:
        network = max((await driver.probe()).networks)
        async with room(driver, network=network) as sandbox:
            process = await sandbox.exec(Command(["sleep", "1000"]))
            marks = marks_of(state_dir, sandbox.id)
            os.kill(marks[victim].pid, signal.SIGKILL)
            await asyncio.wait_for(sandbox.closed(), PATIENCE_SECONDS)
            with pytest.raises(SandboxGone):
                await process.wait()
            process.close()
            for mark in marks.values():
                await ended(mark)
            assert list((state_dir / "sandboxes").iterdir()) == []

    async def test_a_killed_server_takes_its_sandboxes_with_it(self, state_dir: Path) -> None:
        ids = [f"test-{secrets.token_hex(6)}" for _ in range(3)]
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVER, str(state_dir), *ids), stdout=asyncio.subprocess.PIPE
        )
        assert server.stdout is not None
        await heard(server.stdout, b"serving")
        marks = [mark for each in ids for mark in marks_of(state_dir, each).values()]
        assert len(marks) >= 2 * len(ids)
        server.kill()
        await server.wait()
        for mark in marks:
            await ended(mark)
        assert sorted(await BubblewrapDriver(state_dir).reap()) == sorted(ids)

    async def test_reaping_kills_what_a_record_names_and_nobody_else(
        self, driver: BubblewrapDriver, state_dir: Path
    ) -> None:
        orphan, bystander = (subprocess.Popen(["sleep", "1000"]) for _ in range(2))  # noqa: ASYNC220
        gone = ProcessMark(os.getpid(), 1)
        reused = ProcessMark(bystander.pid, ProcessMark.of(bystander.pid).started - 1)
        record = Record("test-lost", gone, processes=(ProcessMark.of(orphan.pid), reused))
        Records(state_dir / "sandboxes").claim(record)
        (state_dir / "sandboxes" / "test-torn.json").write_text('{"id": "test-')
        assert await driver.reap() == ["test-lost", "test-torn"]
        assert orphan.wait(10) == -signal.SIGKILL
        assert bystander.poll() is None
        bystander.kill()
        bystander.wait(10)

    async def test_thirty_sandboxes_come_and_go_together(self, driver: BubblewrapDriver) -> None:
        async def live(number: int) -> str:
            async with room(driver) as sandbox:
                return (await run(sandbox, "echo", str(number))).text

        assert await asyncio.gather(*map(live, range(30))) == [str(number) for number in range(30)]


class TestView:
    async def test_names_and_certificates_are_there(self, driver: BubblewrapDriver) -> None:
        async with room(driver) as sandbox:
            assert (
                await shell(sandbox, "whoami; hostname; getent hosts localhost | head -1")
            ).text.startswith("agent\nagent\n")
            if Path("/etc/ssl/certs").exists():
                assert (await shell(sandbox, "ls /etc/ssl/certs | wc -l")).text != "0"
            assert (await shell(sandbox, "ls /etc/ssl/private /root")).code != 0

    @pytest.mark.skipif(bool(landlock.missing()), reason="no Landlock here")
    async def test_landlock_is_in_force(self, driver: BubblewrapDriver) -> None:
        """Its refusal, EACCES, comes before that of the user namespace, EPERM."""
        device = "import os; os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0))"
        async with room(driver) as sandbox:
            assert b"PermissionError: [Errno 13]" in (await run(sandbox, "python3", "-c", device)).err

    async def test_the_public_network_has_a_name_server(self, driver: BubblewrapDriver) -> None:
        if Network.PUBLIC not in (await driver.probe()).networks:
            pytest.skip("no public network here")
        async with room(driver, network=Network.PUBLIC) as sandbox:
            assert (await shell(sandbox, "cat /etc/resolv.conf")).text == "nameserver 192.0.2.3"


class TestWithoutRoot:
    @pytest.fixture
    def public_folder(self) -> Iterator[Path]:
        """A folder that any user can reach, unlike pytest's own."""
        folder = Path(tempfile.mkdtemp(prefix="innkeeper-test-"))
        folder.chmod(0o755)
        yield folder
        shutil.rmtree(folder)

    @pytest.mark.skipif(os.getuid() != 0, reason="this is not root, so all the tests show it")
    async def test_an_ordinary_user_can_have_sandboxes(self, public_folder: Path) -> None:
        """What is imported is imported by root: this Python may be in a folder that is shut to others."""
        package = Path(str(innkeeper.__file__)).parent
        shutil.copytree(package, public_folder / "innkeeper", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("state", "storage"):
            (public_folder / name).mkdir()
            os.chown(public_folder / name, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", ROOTLESS, str(public_folder / "state"), str(public_folder / "storage")],
            env={
                "PYTHONPATH": str(public_folder),
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=public_folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        code, said, networks, limited, measured, problems = json.loads(done.stdout)
        assert (code, said) == (0, "1000\n")
        assert "none" in networks
        assert limited == measured
        assert limited or any("no limits" in problem for problem in problems)
        assert (public_folder / "storage/note").read_bytes() == b"written"


class TestOnUvloop:
    """The loop that the server runs on has pipes and terminals of its own."""

    def test_processes_terminals_and_connections_work(self, state_dir: Path) -> None:
        uvloop.run(self._visit(state_dir))

    async def _visit(self, state_dir: Path) -> None:
        driver = BubblewrapDriver(state_dir)
        relays = [Relay(9000, "127.0.0.1", 1)]
        try:
            async with room(driver, relays=relays) as sandbox:
                data = os.urandom(1_000_000)
                assert (await run(sandbox, "cat", stdin=data)).out == data
                assert await self._terminal(sandbox) == 5
                with pytest.raises(ConnectionRefusedError):
                    await sandbox.dial(8080)
                (await sandbox.dial(9000)).close()
                await sandbox.write_file("note", b"x")
                assert await sandbox.read_file("note") == b"x"
        finally:
            await driver.close()

    async def _terminal(self, sandbox: Sandbox) -> int:
        command = Command(["sh", "-c", 'read line; echo "<$line>"; exit 5'], terminal=TerminalSize())
        process = await sandbox.exec(command)
        process.stdin.write(b"hello\n")
        assert b"<hello>" in await process.stdout.read()
        code = await process.wait()
        process.close()
        return code
