"""Processes that a zygote forks into fresh sandboxes: walled in like any other, and nobody's heirs."""

import ast
import asyncio
import contextlib
import json
import logging
import os
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.contract_arena import MARKER, NEIGHBOUR_PORT, Arena, Attacker, numbers, opened
from innkeeper.engines.sandbox.contract_attacks import (
    CALLS,
    HOST_PATHS,
    HOST_PROCESSES,
    LAUNCHER,
    PROC,
    PROCESSES,
    SOCKETS,
)
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, room, run, shell
from innkeeper.engines.sandbox.sandbox import (
    Mount,
    Network,
    Preload,
    Process,
    Sandbox,
    SandboxDriver,
    SandboxSpec,
)
from tests.content import content

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="zygotes need a server that is root")

SERVER = """
import asyncio, sys
from pathlib import Path
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.sandbox import Mount, Preload, SandboxSpec

async def serve(state, programs):
    driver = BubblewrapDriver(Path(state))
    driver.zygotes = 1
    spec = SandboxSpec("test-orphan", mounts=[Mount(Path(programs), "/opt/programs")])
    while await driver.hatch(spec, Preload("/usr/bin/python3", "/opt/programs/program.py", ["{}"])) is None:
        await asyncio.sleep(0.05)
    print("serving", flush=True)
    await asyncio.sleep(1000)

asyncio.run(serve(*sys.argv[1:]))
"""
PROGRAM = """
import os, sys
LAUNCHER = {launcher!r}
def load(arguments):
    code = compile(LAUNCHER, "launcher", "exec")
    born = os.getpid(), os.urandom(8).hex()
    def run():
        sys.argv = ["launcher", *arguments]
        exec(code, {{"__name__": "__main__", "born": born}})
    return run
"""
STATUS = r"""
    status = dict(line.split(":\t") for line in read("/proc/self/status").decode().splitlines())
    names = "Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Umask SigBlk".split()
    import resource
    limits = [resource.getrlimit(number) for number in range(16)]
    spaces = sorted(os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns"))
    said = [{name: status[name].split() for name in names}, limits, spaces, dict(os.environ), os.getcwd()]
    open("/tmp/said", "w").write(json.dumps(said))
"""


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zygote") / "state"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "program.py").write_text(PROGRAM.format(launcher=LAUNCHER))
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arena(state_dir: Path, programs: Path) -> AsyncIterator[Arena]:
    async def recruit(driver: SandboxDriver, mounts: list[Mount] | None = None, **spec: Any) -> Attacker:
        return Attacker(*await hatched(driver, programs, mounts or [], **spec))

    driver = BubblewrapDriver(state_dir)
    driver.zygotes = 1
    async with opened(driver, recruit) as arena:
        yield arena


async def hatched(
    driver: SandboxDriver, programs: Path, mounts: list[Mount], **spec: Any
) -> tuple[Sandbox, Process]:
    """Once there is a zygote; one is made where there is none."""
    preload = Preload("/usr/bin/python3", "/opt/programs/program.py", [numbers()])
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            wanted = [Mount(programs, "/opt/programs"), *mounts]
            found = await driver.hatch(
                SandboxSpec(f"test-{secrets.token_hex(6)}", mounts=wanted, **spec), preload
            )
            if found is not None:
                return found
            await asyncio.sleep(0.05)


@pytest.mark.asyncio(loop_scope="module")
class TestHatched:
    async def test_what_it_tries_fails_as_for_any_other(self, arena: Arena) -> None:
        """From the process that the zygote forked; all else of the battery is about the sandbox around it."""
        for body in (
            *{**PROC, **PROCESSES, **CALLS}.values(),
            *(f"return socket.socket{kind}" for kind in SOCKETS.values()),
            *(f"return os.path.lexists({path!r})" for path in HOST_PATHS),
            f"return checked(libc.shmget({MARKER}, 0, 0)) >= 0",
            f"return socket.create_connection(('127.0.0.1', {NEIGHBOUR_PORT}), timeout=5)",
            "s = socket.socket(socket.AF_UNIX); s.connect('\\0innkeeper-neighbour'); return s",
            "return [os.kill(1, number) for number in (1, 9, 15, 19)] is None",
            "return os.listdir(f'/proc/{os.getppid()}/root/root') or os.setns(3, 0)",
        ):
            await arena.attacker.attack(body)
        bystander = await asyncio.create_subprocess_exec("sleep", MARKER)
        try:
            for body in HOST_PROCESSES.values():
                await arena.attacker.attack(body, str(bystander.pid))
            assert bystander.returncode is None
        finally:
            bystander.kill()
            await bystander.wait()
        await arena.attacker.unharmed()

    async def test_it_is_what_a_process_started_there_is(self, arena: Arena) -> None:
        await arena.attacker.attempt(STATUS.strip())
        sandbox = arena.attacker.sandbox
        status, limits, spaces, environment, folder = json.loads(await sandbox.read_file("/tmp/said"))
        body = "\n".join(line[4:] for line in STATUS.splitlines())
        lines = "import json, os\nread = lambda path: open(path, 'rb').read()\n"
        await run(sandbox, "python3", "-c", lines + body)
        assert json.loads(await sandbox.read_file("/tmp/said")) == [
            status,
            limits,
            spaces,
            environment,
            folder,
        ]
        await shell(sandbox, "rm /tmp/said")
        assert status["CapBnd"] == ["0" * 16]
        assert status["Seccomp"] == ["2"]

    async def test_nothing_of_the_zygote_s_is_left_open(self, arena: Arena) -> None:
        code, words = await arena.attacker.attempt(
            "parent = f'/proc/{os.getppid()}/fd'\n"
            "    return sorted(set(os.listdir(parent)) - {'0', '1', '2'}), "
            "[name for name in os.listdir('/proc') if name.isdigit()]"
        )
        assert code == 1
        open_here, processes = ast.literal_eval(words.removeprefix("WON "))
        # The pipe that its child answers by is the program's own.
        assert len(open_here) <= 2
        assert len(processes) <= 3

    async def test_others_share_neither_its_random_numbers_nor_its_user(
        self, arena: Arena, state_dir: Path
    ) -> None:
        async with arena.newcomer(network=Network.NONE) as other:
            _, first = await arena.attacker.attempt("return os.urandom(8), born")
            _, second = await other.attempt("return os.urandom(8), born")
            born = first.split(",", 1)[1]
            assert first != second
            assert second.endswith(born)  # the same loading, nothing since
            ids = [arena.attacker.sandbox.id, other.sandbox.id, zygote_of(state_dir)]
            assert len({os.getuid(), *(user_of(state_dir, each) for each in ids)}) == 4

    async def test_the_zygote_has_no_rights_and_sees_what_it_has_hatched_alone(
        self, arena: Arena, state_dir: Path
    ) -> None:
        zygote = processes_of(state_dir, zygote_of(state_dir))[-1]
        status = Path(f"/proc/{zygote}/status").read_text()
        assert len(re.findall(r"^Cap(?:Inh|Prm|Eff|Amb):\t0+$", status, re.MULTILINE)) == 4
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status
        user = user_of(state_dir, zygote_of(state_dir))
        become = ("setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups")
        look = await asyncio.create_subprocess_exec(
            *("nsenter", "--target", str(zygote), "--mount", *become, "ls", "/proc"),
            stdout=asyncio.subprocess.PIPE,
        )
        seen, _ = await look.communicate()
        numbers_seen = [int(name) for name in seen.split() if name.isdigit()]
        assert zygote in numbers_seen
        assert {owner(pid) for pid in numbers_seen} <= {
            user,
            user_of(state_dir, arena.attacker.sandbox.id),
            None,
        }

    async def test_a_dead_zygote_harms_nobody_and_is_made_anew(self, arena: Arena, state_dir: Path) -> None:
        before = zygote_of(state_dir)
        os.kill(processes_of(state_dir, before)[-1], signal.SIGKILL)
        assert (await arena.attacker.attempt("return 'alive'"))[1] == "WON 'alive'"
        async with arena.newcomer(network=Network.NONE) as other:
            assert (await other.attempt("return 'born'"))[1] == "WON 'born'"
            assert zygote_of(state_dir) != before


async def test_a_killed_server_leaves_neither_zygote_nor_hatched(tmp_path: Path, programs: Path) -> None:
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(tmp_path), str(programs)), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    await heard(server.stdout, b"serving")
    ids = ["test-orphan", zygote_of(tmp_path)]
    left = [pid for each in ids for pid in processes_of(tmp_path, each)]
    server.kill()
    await server.wait()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(owner(pid) is not None for pid in left):  # noqa: ASYNC110 (there is nobody who would tell)
            await asyncio.sleep(0.01)
    assert sorted(await BubblewrapDriver(tmp_path).reap()) == ids


async def test_what_cannot_be_loaded_is_done_without(
    state_dir: Path, programs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    driver = BubblewrapDriver(state_dir)
    mounts = [Mount(programs, "/opt/programs")]
    broken = Preload("/usr/bin/python3", "/opt/programs/nowhere.py")
    assert await driver.hatch(SandboxSpec("test-none", mounts=mounts), broken) is None
    assert driver.zygotes == 0
    driver.zygotes = 1
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "No module named 'nowhere'" not in caplog.text:
            assert await driver.hatch(SandboxSpec("test-none", mounts=mounts), broken) is None
            await asyncio.sleep(0.05)
    async with room(driver, mounts=mounts) as sandbox:
        assert (await shell(sandbox, "echo well")).text == "well"
    await driver.close()
    assert [path.stem for path in (state_dir / "sandboxes").glob("*none*")] == []


def zygote_of(state_dir: Path) -> str:
    """The id of the only zygote that has processes."""
    (found,) = [
        path.stem
        for path in (state_dir / "sandboxes").glob("zygote-*.json")
        if json.loads(content(path) or "{}").get("processes")
    ]
    return found


def processes_of(state_dir: Path, sandbox_id: str) -> list[int]:
    record = json.loads((state_dir / "sandboxes" / f"{sandbox_id}.json").read_text())
    return [process["pid"] for process in record["processes"]]


def user_of(state_dir: Path, sandbox_id: str) -> int:
    """The host's user that it is, by what its record names last: what runs inside."""
    user = owner(processes_of(state_dir, sandbox_id)[1])
    assert user is not None
    return user


def owner(pid: int) -> int | None:
    """None where it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(re.findall(r"^Uid:\t(\d+)", status, re.MULTILINE)[0])
    return None
