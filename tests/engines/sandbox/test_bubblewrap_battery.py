"""The bubblewrap driver withstands the isolation battery."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.contract import IsolationBattery
from innkeeper.engines.sandbox.contract_arena import Arena, opened
from innkeeper.engines.sandbox.contract_room import shell
from innkeeper.engines.sandbox.sandbox import Mount

UNWALLED = """
import ctypes, os, resource, sys
user, victim, server, secret = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, as a program that was started has it
ATTACH, DETACH = 16, 17  # of ptrace(2)
def ptrace(pid):
    won = libc.ptrace(ATTACH, pid, 0, 0) == 0
    return won and (os.waitpid(pid, 0), libc.ptrace(DETACH, pid, 0, 0))
def attempts(pid):
    yield "signal", lambda: os.kill(pid, 0) is None
    yield "ptrace", lambda: ptrace(pid)
    yield "limit", lambda: resource.prlimit(pid, resource.RLIMIT_CPU)
    yield "priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19) is None
    yield "affinity", lambda: os.sched_setaffinity(pid, [0]) is None
    for name in ("environ", "maps", "mem", "root/home/agent/secret", "ns/user", "map_files"):
        yield name, lambda: os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    yield "cwd", lambda: os.readlink(f"/proc/{pid}/cwd")
    yield "fd", lambda: os.listdir(f"/proc/{pid}/fd")
def others():
    yield "secret", lambda: open(secret).read()
    yield "core", lambda: open("/proc/sys/kernel/core_pattern", "a")
    yield "group", lambda: os.open("/sys/fs/cgroup/cgroup.procs", os.O_WRONLY)
for name, attempt in (*attempts(victim), *attempts(server), *others()):
    try:
        if attempt():
            print(name)
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("battery") / "state"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arena(state_dir: Path) -> AsyncIterator[Arena]:
    async with opened(BubblewrapDriver(state_dir)) as arena:
        yield arena


class TestBattery(IsolationBattery):
    """All of it."""


@pytest.fixture
async def apart(arena: Arena) -> None:
    if any("one user of this host" in problem for problem in (await arena.driver.probe()).problems):
        pytest.skip("sandboxes are one user here")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.usefixtures("apart")
class TestUsersOfTheirOwn:
    """What stands between sandboxes and before the host, should a namespace fail: they are strangers."""

    async def test_each_sandbox_is_a_user_of_its_own(self, arena: Arena, state_dir: Path) -> None:
        users = [user_of(state_dir, each.id) for each in (arena.attacker.sandbox, arena.neighbour)]
        assert len({*users, os.getuid()}) == 3
        inside = await shell(arena.attacker.sandbox, "id; stat -c %U ~ /tmp /dev/shm")
        assert inside.text.split() == [
            "uid=1000(agent)",
            "gid=1000(agent)",
            "groups=1000(agent)",
            *3 * ["agent"],
        ]
        await arena.attacker.attack(
            "return os.access('/usr', os.W_OK) or os.stat('/usr').st_uid == os.getuid()"
        )

    async def test_without_its_namespaces_it_reaches_nobody(self, arena: Arena, state_dir: Path) -> None:
        """A process of the host with the attacker's user, and nothing else around it, tries the neighbour and
        the server; one with the neighbour's own would have reached it."""
        neighbour = user_of(state_dir, arena.neighbour.id)
        (victim,) = processes_of(neighbour, "98765")
        secret = state_dir.parent / "secret"
        secret.write_text("of the server")
        secret.chmod(0o600)
        own = user_of(state_dir, arena.attacker.sandbox.id)
        assert unwalled(own, victim, os.getpid(), secret) == []
        assert "signal" in unwalled(neighbour, victim, victim, secret)

    async def test_what_it_leaves_on_a_mount_is_the_server_s(self, arena: Arena, tmp_path: Path) -> None:
        storage = tmp_path / "storage"
        storage.mkdir(0o700)
        (storage / "before").write_text("kept\n")
        (storage / "before").chmod(0o600)
        async with arena.newcomer(mounts=[Mount(storage, "/mnt/data", writable=True)]) as attacker:
            script = (
                "cat before; echo more >> before; mkdir -p a/b; echo x > a/b/c; stat -c %U . before a/b/c"
            )
            said = await shell(attacker.sandbox, f"cd /mnt/data; {script}")
            assert said.text.split() == ["kept", "agent", "agent", "agent"]
        assert (storage / "before").read_text() == "kept\nmore\n"
        assert {path.stat().st_uid for path in storage.rglob("*")} == {os.getuid()}


def user_of(state_dir: Path, sandbox_id: str) -> int:
    """The host's user that a sandbox is, by what its record names first: bubblewrap."""
    record = json.loads((state_dir / "sandboxes" / f"{sandbox_id}.json").read_text())
    return owner(Path("/proc", str(record["processes"][0]["pid"])))


def owner(process: Path) -> int:
    return int(re.findall(r"^Uid:\t(\d+)", (process / "status").read_text(), re.MULTILINE)[0])


def processes_of(user: int, word: str) -> list[int]:
    """Those of a user whose command line has this word in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if owner(process) == user and word in (process / "cmdline").read_text():
                found.append(int(process.name))
    return found


def unwalled(user: int, victim: int, server: int, secret: Path) -> list[str]:
    """What a process of that user wins from two others."""
    argv = [sys.executable, "-c", UNWALLED, *map(str, (user, victim, server, secret))]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.split()
