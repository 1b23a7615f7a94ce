"""The isolation battery: attempts to escape, to snoop and to harm, beside a neighbour that stays well."""

# ruff: noqa: S104, S108 (addresses and paths of the attacker's)

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from innkeeper.engines.sandbox import seccomp
from innkeeper.engines.sandbox.contract_attacks import (
    CALLS,
    HOST_PATHS,
    PRELUDE,
    PROC,
    PROCESSES,
    SOCKETS,
    VERDICT,
)
from innkeeper.engines.sandbox.contract_room import Outcome, heard, python, room, shell
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Isolation,
    Mount,
    Network,
    Sandbox,
    SandboxDriver,
    SandboxError,
)

_SECRET = b"the neighbour's secret"
_MARKER = "98765"
_PORT = 8080
_NEIGHBOUR = f"""
import socket, time
tcp = socket.create_server(("127.0.0.1", {_PORT}))
unix = socket.socket(socket.AF_UNIX)
unix.bind("\\0innkeeper-neighbour")
unix.listen()
print("up", flush=True)
time.sleep({_MARKER})
"""


@asynccontextmanager
async def beside_a_neighbour(driver: SandboxDriver, **spec: Any) -> AsyncIterator[Sandbox]:
    """A sandbox for the attacker; afterwards its neighbour still does its work and has kept its secret."""
    async with room(driver) as neighbour, room(driver, **spec) as attacker:
        await neighbour.write_file("secret", _SECRET)
        server = await neighbour.exec(Command(["python3", "-c", _NEIGHBOUR]))
        await heard(server.stdout, b"up")
        yield attacker
        assert await neighbour.read_file("secret") == _SECRET
        (await neighbour.dial(_PORT)).close()
        assert (await shell(neighbour, "ls -A /tmp; cat secret")).out == _SECRET
        server.close()


async def attack(sandbox: Sandbox, body: str, *arguments: str) -> Outcome:
    """Do it. Nothing may have been won; who dies on the way has won nothing."""
    script = f"NUMBERS = {json.dumps(_numbers())}\n{PRELUDE}\ndef attack():\n    {body}\n{VERDICT}"
    outcome = await python(sandbox, script, *arguments)
    assert outcome.code < 0 or outcome.text.startswith("failed"), outcome
    return outcome


def _numbers() -> dict[str, int]:
    machine = seccomp.MACHINES[os.uname().machine]
    tables = {**seccomp.REFUSED, **seccomp.UNKNOWN}
    numbers = {name: number for name, row in tables.items() if (number := row[machine.column]) is not None}
    return {**numbers, "clone": machine.clone}


async def _shares_the_kernel(driver: SandboxDriver) -> None:
    if (await driver.probe()).isolation is not Isolation.KERNEL_SHARED:
        pytest.skip("these calls are answered by a kernel of the sandbox's own")


class SnoopingBattery:
    @pytest.mark.parametrize("path", HOST_PATHS)
    async def test_the_host_s_files_are_not_there(self, driver: SandboxDriver, path: str) -> None:
        async with beside_a_neighbour(driver) as sandbox:
            for way in (path, f"/proc/self/root{path}", f"/proc/1/root{path}", f"/tmp/../../..{path}"):
                await attack(sandbox, f"return os.path.lexists({way!r})")

    async def test_the_server_s_own_files_are_not_there(self, driver: SandboxDriver, state_dir: Path) -> None:
        secret = state_dir.parent / "credentials"
        secret.write_text("of the server")
        async with beside_a_neighbour(driver) as sandbox:
            for path in (secret, state_dir, Path(__file__), Path.home() / ".profile"):
                await attack(sandbox, f"return os.path.lexists({str(path)!r})")
            await attack(sandbox, "return [k for k, v in os.environ.items() if 'SECRET' in k or 'AWS' in k]")

    @pytest.mark.parametrize("wish", PROC)
    async def test_proc_gives_nothing_away(self, driver: SandboxDriver, wish: str) -> None:
        async with beside_a_neighbour(driver) as sandbox:
            await attack(sandbox, PROC[wish])

    @pytest.mark.parametrize("wish", PROCESSES)
    async def test_other_processes_are_out_of_reach(self, driver: SandboxDriver, wish: str) -> None:
        async with beside_a_neighbour(driver) as sandbox:
            bystander = await asyncio.create_subprocess_exec("sleep", _MARKER)
            try:
                await attack(sandbox, PROCESSES[wish], str(bystander.pid))
                assert bystander.returncode is None
            finally:
                bystander.kill()
                await bystander.wait()
            assert (await shell(sandbox, "echo unharmed")).text == "unharmed"


class KernelBattery:
    @pytest.mark.parametrize("wish", CALLS)
    async def test_the_kernel_refuses(self, driver: SandboxDriver, wish: str) -> None:
        await _shares_the_kernel(driver)
        async with beside_a_neighbour(driver) as sandbox:
            await attack(sandbox, CALLS[wish])
            assert (await shell(sandbox, "echo unharmed")).text == "unharmed"

    @pytest.mark.parametrize("wish", SOCKETS)
    async def test_no_sockets_of_rare_kinds(self, driver: SandboxDriver, wish: str) -> None:
        await _shares_the_kernel(driver)
        async with beside_a_neighbour(driver) as sandbox:
            await attack(sandbox, f"return socket.socket{SOCKETS[wish]}")

    async def test_set_user_id_files_on_a_writable_mount_give_no_rights(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        storage = tmp_path / "storage"
        storage.mkdir()
        program = storage / "python"
        mounts = [Mount(storage, "/mnt/data", writable=True)]
        async with beside_a_neighbour(driver, mounts=mounts) as sandbox:
            await shell(sandbox, "cp $(readlink -f $(command -v python3)) /mnt/data/python")
            program.chmod(0o6755)
            for question in ("os.geteuid() == 0", "os.getegid() == 0", "os.setuid(0) is None"):
                script = f"import os; print({question})"
                assert "True" not in (await shell(sandbox, f"/mnt/data/python -c {script!r}")).text
            await attack(sandbox, "os.mknod('/mnt/data/disk', 0o60666, os.makedev(8, 0)); return 'made'")
            await attack(sandbox, "os.chown('/mnt/data/python', 0, 0); return os.stat('/mnt').st_uid == 1000")


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
    async def test_metadata_and_private_addresses_are_out_of_reach(
        self, driver: SandboxDriver, address: str
    ) -> None:
        network = max((await driver.probe()).networks)
        async with beside_a_neighbour(driver, network=network) as sandbox:
            body = f"return socket.create_connection(({address!r}, 80), timeout=5)"
            await attack(sandbox, body)

    async def test_servers_of_the_host_are_out_of_reach(self, driver: SandboxDriver) -> None:
        network = max((await driver.probe()).networks)
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, beside_a_neighbour(driver, network=network) as sandbox:
            for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "192.0.2.2", "192.0.2.3", "::1"):
                await attack(sandbox, f"return socket.create_connection(({host!r}, {port}), timeout=5)")

    async def test_servers_of_the_neighbour_are_out_of_reach(self, driver: SandboxDriver) -> None:
        network = max((await driver.probe()).networks)
        async with beside_a_neighbour(driver, network=network) as sandbox:
            await attack(sandbox, f"return socket.create_connection(('127.0.0.1', {_PORT}), timeout=5)")
            body = "s = socket.socket(socket.AF_UNIX); s.connect('\\0innkeeper-neighbour'); return s"
            await attack(sandbox, body)

    async def test_abstract_sockets_of_the_host_are_out_of_reach(self, driver: SandboxDriver) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            name = f"innkeeper-host-{os.getpid()}"
            listener.bind(f"\0{name}")
            listener.listen()
            async with beside_a_neighbour(driver) as sandbox:
                await attack(sandbox, f"s = socket.socket(socket.AF_UNIX); s.connect('\\0{name}'); return s")
                await attack(sandbox, f"return {name!r} in open('/proc/net/unix').read()")

    @pytest.mark.parametrize("kind", ["route", "address", "link"])
    async def test_its_network_cannot_be_changed(self, driver: SandboxDriver, kind: str) -> None:
        number = {"route": 25, "address": 21, "link": 17}[kind]  # RTM_DELROUTE, RTM_DELADDR, RTM_DELLINK
        network = max((await driver.probe()).networks)
        async with beside_a_neighbour(driver, network=network) as sandbox:
            body = (
                "s = socket.socket(16, 3, 0);"
                f" s.send(struct.pack('IHHIIBBHiII', 32, {number}, 5, 1, 0, 2, 0, 0, 2, 0, 0));"
                " return struct.unpack_from('i', s.recv(4096), 16)[0] == 0"
            )
            await attack(sandbox, body)

    async def test_without_a_network_there_is_none(self, driver: SandboxDriver) -> None:
        async with beside_a_neighbour(driver, network=Network.NONE) as sandbox:
            for address in ("1.1.1.1", "169.254.169.254", "2606:4700:4700::1111"):
                await attack(sandbox, f"return socket.create_connection(({address!r}, 443), timeout=5)")


class AgentBattery:
    """On the guest agent, by signals and otherwise; where it must give way, only its own sandbox ends."""

    @pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 10, 11, 13, 15, 17, 19, 20, 28, 31, 34, 64])
    async def test_signals_do_not_end_it(self, driver: SandboxDriver, number: int) -> None:
        async with beside_a_neighbour(driver) as sandbox:
            await python(sandbox, f"import os\nfor _ in range(100): os.kill(1, {number})")
            assert (await shell(sandbox, "echo unharmed")).text == "unharmed"

    async def test_killing_everything_leaves_it(self, driver: SandboxDriver) -> None:
        async with beside_a_neighbour(driver) as sandbox:
            sleeper = await sandbox.exec(Command(["sleep", _MARKER]))
            assert (await python(sandbox, "import os; os.kill(-1, 9)")).code == 0
            assert await sleeper.wait() == -signal.SIGKILL
            sleeper.close()
            assert (await shell(sandbox, "echo unharmed")).text == "unharmed"

    @pytest.mark.parametrize("limit", ["NOFILE", "AS", "DATA", "STACK", "FSIZE", "CPU", "NPROC"])
    async def test_starving_it_harms_nobody_else(self, driver: SandboxDriver, limit: str) -> None:
        async with beside_a_neighbour(driver) as sandbox:
            starve = f"import resource; resource.prlimit(1, resource.RLIMIT_{limit}, (0, 0))"
            for _ in range(2):
                with contextlib.suppress(SandboxError):
                    await python(sandbox, starve)
