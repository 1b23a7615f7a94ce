"""The contract of isolation: what code inside cannot see, reach or harm."""

# ruff: noqa: S104 (servers that a sandbox must not reach)

import asyncio
import socket
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_room import python, room, run, shell
from innkeeper.engines.sandbox.sandbox import Command, Network, SandboxDriver, SandboxError

_CONNECT = """
import socket, sys
for address in sys.argv[1:]:
    host, port, device = address.split(",")
    with socket.socket() as client:
        client.settimeout(5)
        try:
            if device:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            client.connect((host, int(port)))
            print("REACHED", address)
        except OSError as error:
            print("refused", address, error)
"""
_WRITABLE = """
import os
own = ("/proc", "/home/agent", "/tmp", "/dev/shm", "/dev/pts")
found = []
for top, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(top, name) not in own]
    found += [path for name in folders + files if os.access(path := os.path.join(top, name), os.W_OK)
              and not os.path.islink(path)]
for top, folders, files in os.walk("/proc"):
    if top == "/proc":
        folders[:] = [name for name in folders if not name.isdigit() and not name.endswith("self")]
    found += [path for name in files if os.access(path := os.path.join(top, name), os.W_OK)]
devices = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")
print([path for path in found if path not in ["/dev/" + name for name in devices]])
"""
_NO_NEW_PRIVILEGES = "import ctypes; print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))"  # PR_GET_NO_NEW_PRIVS
_DEVICES = "import socket; print(*(name for _, name in socket.if_nameindex()))"
_ATTACK = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, action):
    try:
        print(name, "WORKED" if action() else "failed")
    except OSError:
        print(name, "failed")
attempt("descriptors", lambda: [os.readlink("/proc/1/fd/" + name) for name in os.listdir("/proc/1/fd")])
attempt("memory", lambda: os.open("/proc/1/mem", os.O_RDWR))
attempt("environment", lambda: open("/proc/1/environ").read())
attempt("root", lambda: os.listdir("/proc/1/root"))
attempt("attach", lambda: libc.ptrace(16, 1, 0, 0) == 0)
attempt("steal", lambda: libc.syscall(438, os.pidfd_open(1), 3, 0) >= 0)
attempt("read", lambda: libc.process_vm_readv(1, 0, 0, 0, 0, 0) > 0)
attempt("mount", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)
attempt("user namespace", lambda: libc.unshare(0x10000000) == 0)
attempt("device", lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)) or open("/tmp/disk"))
attempt("chroot", lambda: os.chroot("/tmp") is None)
attempt("root user", lambda: os.setuid(0) is None)
attempt("clock", lambda: libc.clock_settime(0, ctypes.create_string_buffer(16)) == 0)
for number in range(1, 65):
    if number not in (32, 33):
        try:
            os.kill(1, number)
        except PermissionError:
            pass
print("still here")
"""


def _own_address() -> str:
    """An address of this host that others could reach; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


async def _reached(driver: SandboxDriver, network: Network, addresses: list[str]) -> str:
    async with room(driver, network=network) as sandbox:
        outcome = await python(sandbox, _CONNECT, *addresses)
    assert len(outcome.text.splitlines()) == len(addresses), outcome
    return "\n".join(line for line in outcome.text.splitlines() if line.startswith("REACHED"))


class IsolationContract:
    async def test_nothing_of_the_host_is_seen(self, driver: SandboxDriver, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("hidden")
        async with room(driver) as sandbox:
            for path in (tmp_path / "secret", Path.home(), Path(__file__), Path("/etc/shadow")):
                assert (await run(sandbox, "test", "-e", str(path))).code == 1, path
            assert (await run(sandbox, "ls", "/home")).text == "agent\nuser"  # a link to the first

    async def test_it_runs_as_nobody_special(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            assert (await run(sandbox, "id", "-u")).text == "1000"
            status = (await shell(sandbox, "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status")).text
            assert (await python(sandbox, _NO_NEW_PRIVILEGES)).text == "1"
        values = {line.split(":")[0]: int(line.split()[1], 16) for line in status.splitlines()}
        assert set(values.values()) == {0}

    async def test_only_its_own_scratch_is_writable(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            assert (await python(sandbox, _WRITABLE)).text == "[]"

    async def test_no_other_processes_are_seen(self, driver: SandboxDriver) -> None:
        async with room(driver) as first, room(driver) as second:
            sleeper = await first.exec(Command(["sleep", "98765"]))
            sleeper.close()
            count = "ls -d /proc/[0-9]* | wc -l"
            assert int((await shell(second, count)).text) <= 6
            assert (await shell(second, "grep -l sleep /proc/[0-9]*/comm")).text == ""

    async def test_two_sandboxes_share_neither_files_nor_ports(self, driver: SandboxDriver) -> None:
        serve = (
            "import socket, time; s = socket.create_server(('127.0.0.1', 8080));"
            "print('up', flush=True); time.sleep(1000)"
        )
        async with room(driver) as first, room(driver) as second:
            await shell(first, "touch /tmp/mine /home/agent/mine /dev/shm/mine")
            assert (await shell(second, "ls -A /tmp /home/agent /dev/shm | grep mine")).code == 1
            server = await first.exec(Command(["python3", "-c", serve]))
            await server.stdout.readline()
            server.close()
            (await first.dial(8080)).close()
            with pytest.raises(ConnectionRefusedError):
                await second.dial(8080)

    async def test_its_agent_cannot_be_attacked_from_inside(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            outcome = await python(sandbox, _ATTACK)
            worked = [line for line in outcome.text.splitlines() if line.endswith("WORKED")]
            assert (worked, outcome.text.splitlines()[-1]) == ([], "still here")
            assert (await shell(sandbox, "echo unharmed")).text == "unharmed"

    async def test_whoever_starves_its_agent_harms_only_itself(self, driver: SandboxDriver) -> None:
        starve = "import resource; resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))"
        async with room(driver) as bad, room(driver) as good:
            attempts = (python(bad, starve), shell(bad, "true"), shell(bad, "true"))
            for failure in await asyncio.gather(*attempts, return_exceptions=True):
                assert not isinstance(failure, BaseException) or isinstance(failure, SandboxError)
            assert (await shell(good, "echo unharmed")).text == "unharmed"

    async def test_no_network_means_none(self, driver: SandboxDriver) -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            wanted = [f"127.0.0.1,{port},", f"{_own_address()},{port},", "1.1.1.1,443,", "10.0.0.1,80,"]
            assert await _reached(driver, Network.NONE, wanted) == ""

    async def test_the_public_network_excludes_the_host_and_private_ranges(
        self, driver: SandboxDriver
    ) -> None:
        if Network.PUBLIC not in (await driver.probe()).networks:
            pytest.skip("no public network here: " + "; ".join((await driver.probe()).problems))
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        hosts = ("127.0.0.1", _own_address(), "10.0.2.2", "10.0.2.3", "192.0.2.2", "192.0.2.3")
        private = (
            "169.254.169.254",
            "169.254.170.2",
            "10.0.0.1",
            "172.17.0.1",
            "192.168.0.1",
            "100.100.100.200",
        )
        wanted = [f"{host},{port}," for host in hosts] + [f"{host},80," for host in private]
        async with server:
            assert await _reached(driver, Network.PUBLIC, wanted) == ""

    async def test_naming_the_device_does_not_get_around_the_routes(self, driver: SandboxDriver) -> None:
        """Linux takes an address without a route for one on the link when a socket is bound to a device."""
        if Network.PUBLIC not in (await driver.probe()).networks:
            pytest.skip("no public network here")
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, room(driver, network=Network.PUBLIC) as sandbox:
            devices = (await python(sandbox, _DEVICES)).text.split()
            wanted = [
                f"{address},{port},{device}"
                for device in devices
                if device != "lo"
                for address in (_own_address(), "169.254.169.254")
            ]
            outcome = await python(sandbox, _CONNECT, *wanted)
            assert "REACHED" not in outcome.text
            assert len(outcome.text.splitlines()) == len(wanted) > 0

    async def test_the_public_network_reaches_the_internet(self, driver: SandboxDriver) -> None:
        if Network.PUBLIC not in (await driver.probe()).networks:
            pytest.skip("no public network here")
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection("pypi.org", 443), 5)
        except OSError:
            pytest.skip("this host has no internet itself")
        writer.close()
        assert "REACHED" in await _reached(driver, Network.PUBLIC, ["pypi.org,443,"])
