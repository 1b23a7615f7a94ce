"""The isolation battery's second half: bombs, floods, and traps for whoever reads a sandbox's files."""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_arena import Arena
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, python, shell, vanishes
from innkeeper.engines.sandbox.sandbox import Command, Limits, Mount, Sandbox, SandboxError

_TIGHT = Limits(cpu_cores=1, memory_mib=128, processes=64, open_files=256, scratch_mib=16)
_FUSE_SECONDS = 1.0
_READINGS = 10
_REFUSALS = (SandboxError, FileNotFoundError, IsADirectoryError, PermissionError)

# Each would go on until something stops it, and at most for a while.
BOMBS: Mapping[str, str] = {
    "forks": "for _ in range(5000): os.fork()",
    "threads": "for _ in range(5000): threading.Thread(target=time.sleep, args=(30,)).start()",
    "orphans": "for _ in range(5000): os.fork() or os._exit(os.spawnlp(os.P_NOWAIT, 'true', 'true') and 0)",
    "sessions": "for _ in range(5000): os.fork() or (os.setsid(), time.sleep(30))",
    "memory": "held = [bytearray(1 << 20) for _ in range(1000)]",
    "memory of the kernel, in pipes": "held = [os.write(os.pipe()[1], bytes(65536)) for _ in range(5000)]",
    "memory of the kernel, in sockets": (
        "held = [socket.socketpair() for _ in range(5000)]; [a.send(bytes(100000)) for a, b in held]"
    ),
    "memory without a name": (
        "for n in range(1000): os.write(os.memfd_create(str(n)), bytes(1 << 20)); os.dup(1)"
    ),
    "memory in /dev/shm": "for n in range(1000): open(f'/dev/shm/{n}', 'wb').write(bytes(1 << 20))",
    "memory in /tmp": "for n in range(1000): open(f'/tmp/{n}', 'wb').write(bytes(1 << 20))",
    "a full home": "for n in range(1000): open(f'/home/agent/{n}', 'wb').write(bytes(1 << 20))",
    "files without content": "for n in range(400_000): os.close(os.open(f'/tmp/{n}', os.O_CREAT))",
    "folders in folders": "for n in range(100_000): os.mkdir('d'); os.chdir('d')",
    "links": "open('/tmp/a', 'w'); [os.link('/tmp/a', f'/tmp/l{n}') for n in range(200_000)]",
    "descriptors": "held = [open('/dev/null') for _ in range(100_000)]",
    "listeners": "held = [socket.create_server(('127.0.0.1', 20000 + n)) for n in range(20_000)]",
    "queues of messages": "for n in range(5000): libc.msgget(0, 0o1666)",
    "shared memory": "for n in range(5000): libc.shmat(libc.shmget(0, 1 << 20, 0o1666), 0, 0)",
    "semaphores": "for n in range(40_000): libc.semget(0, 100, 0o1666)",
    "locked memory": "libc.mlockall(3); held = bytearray(300 << 20)",
    "timers": "for n in range(200_000): libc.timer_create(0, None, ctypes.create_string_buffer(8))",
    "a sparse file of petabytes": "os.truncate(os.open('/tmp/big', os.O_CREAT | os.O_RDWR), 1 << 50)",
}
_BOMB = """
import ctypes, os, socket, sys, threading, time
sys.setswitchinterval(0.0001)
libc = ctypes.CDLL(None, use_errno=True)
{body}
"""

# What an agent leaves for whoever reads or writes its files from outside.
TRAPS: Mapping[str, str] = {
    "a link to a file of the host": "ln -s /etc/shadow trap",
    "a link up and out": "ln -s ../../../../../../../etc/shadow trap",
    "a link by way of /proc": "ln -s /proc/1/root/etc/shadow trap",
    "a link to the agent's memory": "ln -s /proc/self/mem trap",
    "a link to the control socket": "ln -s /proc/self/fd/3 trap",
    "a link to every descriptor": "ln -s /proc/self/fd trap",
    "a link to itself": "ln -s trap trap",
    "a pipe": "mkfifo trap",
    "a pipe with a writer": "mkfifo trap; sleep 30 <> trap >&0 2>&0 &",
    "a socket": "python3 -c \"import socket; socket.socket(1).bind('trap')\"",
    "an endless device": "ln -s /dev/zero trap",
    "a terminal": "ln -s /dev/ptmx trap",
    "a folder": "mkdir trap",
    "a file larger than all memory": "truncate -s 8E trap || truncate -s 4E trap",
    "a file that nobody may read": "echo x > trap; chmod 000 trap",
    "a folder that nobody may enter": "mkdir shut; echo x > shut/x; ln -s shut/x trap; chmod 000 shut",
}


# What the kernel counts for the whole host, or for all processes of the server's user wherever they are: each
# takes one more, and says whether it got it.
SHARED: Mapping[str, str] = {
    "timers": "libc.timer_create(0, None, ctypes.create_string_buffer(8)) == 0",
    "terminals": "bool(os.openpty())",
    "watchers of files": "libc.inotify_init1(0) >= 0",
}
_TAKE = """
import ctypes, os, time
libc = ctypes.CDLL(None)
held = 0
def take():
    try:
        return {taking}
    except OSError:
        return False
"""
_HOG = """
until = time.monotonic() + 3
while held < 500_000 and time.monotonic() < until and take():
    held += 1
print("no more", flush=True)
time.sleep(1000)
"""
_SENDER = """
import array, os, socket, time
many = array.array("i", [os.open(os.devnull, os.O_RDONLY)] * 253)
held, until = [], time.monotonic() + 5
try:
    while len(held) < 2000 and time.monotonic() < until:
        held.append(socket.socketpair())
        held[-1][0].setblocking(False)
        try:
            while True:
                held[-1][0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, many)])
        except BlockingIOError:
            pass
except OSError:
    pass
print("no more", flush=True)
time.sleep(1000)
"""


class BombBattery:
    @pytest.mark.parametrize("bomb", BOMBS)
    async def test_a_bomb_harms_nobody_else(self, arena: Arena, bomb: str) -> None:
        if not (await arena.driver.probe()).enforces_limits:
            pytest.skip("no limits here: " + "; ".join((await arena.driver.probe()).problems))
        async with arena.newcomer(limits=_TIGHT) as attacker:
            sandbox = attacker.sandbox
            process = await sandbox.exec(Command(["python3", "-c", _BOMB.format(body=BOMBS[bomb])]))
            process.close()
            with contextlib.suppress(TimeoutError, SandboxError):
                await asyncio.wait_for(process.wait(), _FUSE_SECONDS)
            assert (await sandbox.usage()).memory_mib <= _TIGHT.memory_mib
            assert await _held_processes(sandbox) <= _TIGHT.processes

    @pytest.mark.parametrize("kind", SHARED)
    async def test_whoever_takes_all_leaves_others_theirs(self, arena: Arena, kind: str) -> None:
        taking = _TAKE.format(taking=SHARED[kind])
        async with arena.newcomer() as attacker:
            hog = await attacker.sandbox.exec(Command(["python3", "-c", taking + _HOG]))
            await heard(hog.stdout, b"no more")
            assert (await python(arena.neighbour, f"{taking}\nprint(take())")).text == "True"
            await arena.neighbour_is_well()
            hog.close()

    async def test_descriptors_under_way_leave_the_guest_agents_theirs(self, arena: Arena) -> None:
        async with arena.newcomer() as attacker:
            sender = await attacker.sandbox.exec(Command(["python3", "-c", _SENDER]))
            await heard(sender.stdout, b"no more")
            await arena.neighbour_is_well()
            sender.close()

    async def test_a_flood_of_output_waits_in_its_pipe(self, arena: Arena) -> None:
        async with arena.newcomer(limits=_TIGHT) as attacker:
            flood = Command(["sh", "-c", "yes & yes >&2"])
            floods = [await attacker.sandbox.exec(flood) for _ in range(5)]
            await asyncio.sleep(0.2)
            await attacker.unharmed()
            for process in floods:
                await process.signal(signal.SIGKILL)
                process.close()

    async def test_a_flood_of_dead_children_is_buried(self, arena: Arena) -> None:
        async with arena.newcomer() as attacker:
            await python(attacker.sandbox, "import os\nfor _ in range(200): os.fork() or os._exit(0)")
            await vanishes(attacker.sandbox, "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null")

    async def test_a_disk_is_not_filled_beyond_its_mount(self, arena: Arena, tmp_path: Path) -> None:
        code = tmp_path / "code"
        code.mkdir()
        async with arena.newcomer(mounts=[Mount(code, "/opt/code")]) as attacker:
            for folder in ("/opt/code", "/opt", "/", "/usr", "/etc", "/run", "/var", "/proc", "/dev"):
                assert (await shell(attacker.sandbox, f"echo x > {folder}/bomb")).code != 0
        assert list(code.iterdir()) == []


class TrapBattery:
    @pytest.mark.parametrize("trap", TRAPS)
    async def test_a_trap_holds_and_tells_nothing(self, arena: Arena, trap: str) -> None:
        path = await _set(arena, trap)
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(_REFUSALS):
                await arena.attacker.sandbox.read_file(path, limit_bytes=100_000)
        await arena.attacker.unharmed()

    @pytest.mark.parametrize(
        "trap", [name for name in TRAPS if "nobody" not in name and "larger" not in name]
    )
    async def test_a_trap_is_not_written_through(self, arena: Arena, trap: str) -> None:
        path = await _set(arena, trap)
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(_REFUSALS):
                await arena.attacker.sandbox.write_file(path, b"x" * 100)
        await arena.attacker.unharmed()

    @pytest.mark.parametrize(
        "path",
        [
            *("../../../../etc/shadow", "/../../etc/shadow", "/proc/1/root/etc/shadow", "/proc/self/environ"),
            *("/proc/self/root/../../etc/shadow", "/proc/1/mem", "/proc/self/mem", "/dev/mem", "/dev/kmsg"),
            *("/proc/kcore", "/proc/self/fd/0", "/dev/fd/3", "/dev/stdin", "/" * 4000 + "etc/shadow"),
        ],
    )
    async def test_no_path_leads_out(self, arena: Arena, path: str) -> None:
        try:
            data = await arena.attacker.sandbox.read_file(path, limit_bytes=100_000)
        except _REFUSALS:
            data = b""
        assert b"root:" not in data
        for name in ("HOME", "PATH"):
            assert os.environ[name].encode() not in data

    async def test_a_folder_swapped_while_it_is_read_leads_nowhere(
        self, arena: Arena, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("of the host")
        swap = f"mkdir a b; echo inside > a/secret; while :; do ln -sfn a x; ln -sfn {tmp_path} x; done"
        async with arena.newcomer() as attacker:
            swapping = await attacker.sandbox.exec(Command(["sh", "-c", swap]))
            for _ in range(100):
                with contextlib.suppress(FileNotFoundError, SandboxError):
                    assert await attacker.sandbox.read_file("x/secret") == b"inside\n"
            await swapping.signal(signal.SIGKILL)
            swapping.close()


async def _held_processes(sandbox: Sandbox) -> int:
    """The least of several readings. The kernel charges a fork before it refuses it: while a bomb goes on,
    one reading may stand above a limit that holds, by as many as fork in that instant. A limit that does not
    hold is passed in every reading, as bombs only grow."""
    return min([(await sandbox.usage()).processes for _ in range(_READINGS)])


async def _set(arena: Arena, trap: str) -> str:
    """The path of a trap, in a folder of its own."""
    folder = f"trap-{secrets.token_hex(6)}"
    await shell(arena.attacker.sandbox, f"mkdir {folder}; cd {folder}; {TRAPS[trap]}")
    return f"{folder}/trap"
