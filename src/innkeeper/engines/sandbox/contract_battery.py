"""The isolation battery: attempts to escape, to snoop and to harm, beside a neighbour that stays well."""

# ruff: noqa: S104, S108 (addresses and paths of the attacker's)

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_arena import MARKER, NEIGHBOUR_PORT, Arena
from innkeeper.engines.sandbox.contract_attacks import (
    CALLS,
    HOST_PATHS,
    HOST_PROCESSES,
    PRECEDENCE,
    PROC,
    PROCESSES,
    SOCKETS,
)
from innkeeper.engines.sandbox.contract_room import python, shell
from innkeeper.engines.sandbox.sandbox import Command, Mount, Network, SandboxError


class SnoopingBattery:
    @pytest.mark.parametrize("path", HOST_PATHS)
    async def test_the_host_s_files_are_not_there(self, arena: Arena, path: str) -> None:
        for way in (path, f"/proc/self/root{path}", f"/proc/1/root{path}", f"/tmp/../../..{path}"):
            await arena.attacker.attack(f"return os.path.lexists({way!r})")

    async def test_the_server_s_own_files_are_not_there(self, arena: Arena, state_dir: Path) -> None:
        secret = state_dir.parent / "credentials"
        secret.write_text("of the server")
        for path in (secret, state_dir, Path(__file__), Path.home() / ".profile"):
            await arena.attacker.attack(f"return os.path.lexists({str(path)!r})")
        await arena.attacker.attack("return [k for k in os.environ if 'SECRET' in k or 'AWS' in k]")

    @pytest.mark.parametrize("wish", PROC)
    async def test_proc_gives_nothing_away(self, arena: Arena, wish: str) -> None:
        await arena.attacker.attack(PROC[wish])

    @pytest.mark.parametrize("wish", PROCESSES)
    async def test_other_processes_are_out_of_reach(self, arena: Arena, wish: str) -> None:
        await arena.attacker.attack(PROCESSES[wish])

    @pytest.mark.parametrize("wish", HOST_PROCESSES)
    async def test_processes_of_the_host_are_out_of_reach(self, arena: Arena, wish: str) -> None:
        # In a new sandbox, where no process has the number of one of the host's.
        async with arena.newcomer() as attacker:
            bystander = await asyncio.create_subprocess_exec("sleep", MARKER)
            try:
                await attacker.attack(HOST_PROCESSES[wish], str(bystander.pid))
                assert bystander.returncode is None
            finally:
                bystander.kill()
                await bystander.wait()

    async def test_the_neighbour_s_shared_memory_is_out_of_reach(self, arena: Arena) -> None:
        await arena.attacker.attack(f"return checked(libc.shmget({MARKER}, 0, 0)) >= 0")


class KernelBattery:
    @pytest.mark.parametrize("wish", CALLS)
    async def test_the_kernel_refuses(self, arena: Arena, wish: str) -> None:
        await arena.attacker.attack(CALLS[wish])

    @pytest.mark.parametrize("wish", SOCKETS)
    async def test_no_sockets_of_rare_kinds(self, arena: Arena, wish: str) -> None:
        await arena.attacker.attack(f"return socket.socket{SOCKETS[wish]}")

    @pytest.mark.parametrize("wish", PRECEDENCE)
    async def test_nothing_goes_before_the_server(self, arena: Arena, wish: str) -> None:
        """A sandbox's own kernel may take the wish for granted: the host's must not."""
        before = _precedence()
        await arena.attacker.attempt(PRECEDENCE[wish])
        assert before
        assert {pid: now for pid, now in _precedence().items() if pid in before and now != before[pid]} == {}

    async def test_set_user_id_files_on_a_writable_mount_give_no_rights(
        self, arena: Arena, tmp_path: Path
    ) -> None:
        storage = tmp_path / "storage"
        storage.mkdir()
        program = storage / "python"
        async with arena.newcomer(mounts=[Mount(storage, "/mnt/data", writable=True)]) as attacker:
            await shell(attacker.sandbox, "cp $(readlink -f $(command -v python3)) /mnt/data/python")
            program.chmod(0o6755)
            for question in ("os.geteuid() == 0", "os.getegid() == 0", "os.setuid(0) is None"):
                script = f"import os; print({question})"
                answer = await shell(attacker.sandbox, f"/mnt/data/python -c {script!r}")
                assert "True" not in answer.text
            await attacker.attack("os.mknod('/mnt/data/disk', 0o60666, os.makedev(8, 0)); return 'made'")
            await attacker.attack("os.chown('/mnt/data/python', 0, 0); return os.stat('/mnt').st_uid == 1000")


class NetworkBattery:
    @pytest.mark.parametrize(
        "address",
        [
            *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"),
            *("10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.1"),
            *("100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "0.0.0.0"),
            *("fe80::1", "fc00::1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::1", "192.0.2.2"),
        ],
    )
    async def test_metadata_and_private_addresses_are_out_of_reach(self, arena: Arena, address: str) -> None:
        await arena.attacker.attack(f"return socket.create_connection(({address!r}, 80), timeout=5)")

    async def test_servers_of_the_host_are_out_of_reach(self, arena: Arena) -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "192.0.2.2", "192.0.2.3", "::1"):
                body = f"return socket.create_connection(({host!r}, {port}), timeout=5)"
                await arena.attacker.attack(body)

    async def test_servers_of_the_neighbour_are_out_of_reach(self, arena: Arena) -> None:
        body = f"return socket.create_connection(('127.0.0.1', {NEIGHBOUR_PORT}), timeout=5)"
        await arena.attacker.attack(body)
        body = "s = socket.socket(socket.AF_UNIX); s.connect('\\0innkeeper-neighbour'); return s"
        await arena.attacker.attack(body)
        await arena.neighbour_is_well()

    async def test_abstract_sockets_of_the_host_are_out_of_reach(self, arena: Arena) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            name = f"innkeeper-host-{os.getpid()}"
            listener.bind(f"\0{name}")
            listener.listen()
            attacker = arena.attacker
            await attacker.attack(f"s = socket.socket(socket.AF_UNIX); s.connect('\\0{name}'); return s")
            await attacker.attack(f"return {name!r} in open('/proc/net/unix').read()")

    @pytest.mark.parametrize("kind", ["route", "address", "link"])
    async def test_its_network_cannot_be_changed(self, arena: Arena, kind: str) -> None:
        number = {"route": 25, "address": 21, "link": 17}[kind]  # RTM_DELROUTE, RTM_DELADDR, RTM_DELLINK
        await arena.attacker.attack(
            "s = socket.socket(16, 3, 0);"
            f" s.send(struct.pack('IHHIIBBHiII', 32, {number}, 5, 1, 0, 2, 0, 0, 2, 0, 0));"
            " return struct.unpack_from('i', s.recv(4096), 16)[0] == 0"
        )

    async def test_without_a_network_there_is_none(self, arena: Arena) -> None:
        async with arena.newcomer(network=Network.NONE) as attacker:
            for address in ("1.1.1.1", "169.254.169.254", "2606:4700:4700::1111"):
                await attacker.attack(f"return socket.create_connection(({address!r}, 443), timeout=5)")


class AgentBattery:
    """On the guest agent, by signals and otherwise; where it must give way, only its own sandbox ends."""

    @pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 10, 11, 13, 15, 17, 19, 20, 28, 31, 34, 64])
    async def test_signals_do_not_end_it(self, arena: Arena, number: int) -> None:
        await arena.attacker.attack(f"[os.kill(1, {number}) for _ in range(100)]")
        await arena.attacker.unharmed()

    async def test_killing_everything_leaves_it(self, arena: Arena) -> None:
        async with arena.newcomer() as attacker:
            sleeper = await attacker.sandbox.exec(Command(["sleep", MARKER]))
            assert (await python(attacker.sandbox, "import os; os.kill(-1, 9)")).code == 0
            assert await sleeper.wait() == -signal.SIGKILL
            sleeper.close()
            await attacker.unharmed()

    @pytest.mark.parametrize("limit", ["NOFILE", "AS", "DATA", "STACK", "FSIZE", "CPU", "NPROC"])
    async def test_starving_it_harms_nobody_else(self, arena: Arena, limit: str) -> None:
        async with arena.newcomer() as attacker:
            starve = f"import resource; resource.prlimit(1, resource.RLIMIT_{limit}, (0, 0))"
            for _ in range(2):
                with contextlib.suppress(SandboxError):
                    await python(attacker.sandbox, starve)


def _precedence() -> dict[int, tuple[int, ...]]:
    """For our descendants, the sandboxes among them: policy and priority for the processor, and how soon each
    goes when memory is short."""
    family: dict[int, tuple[int, ...]] = {}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) in {os.getpid(), *family}:
                when_memory_is_short = int((folder / "oom_score_adj").read_text())
                family[int(folder.name)] = (int(fields[38]), int(fields[16]), when_memory_is_short)
    return family
