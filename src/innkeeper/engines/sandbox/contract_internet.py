"""An internet of the contract's own, for tests of what a sandbox may reach: nothing leaves this machine.

The test's thread moves into a new network namespace, which is joined to another one, where the servers are.
Names are looked up in a table. It takes root.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from innkeeper.engines.sandbox.contract_room import python
from innkeeper.engines.sandbox.egress.authority import Authority
from innkeeper.engines.sandbox.sandbox import (
    Egress,
    Network,
    Sandbox,
    SandboxDriver,
    SandboxError,
    SandboxSpec,
)

PUBLIC, OTHER, PRIVATE = "203.0.113.10", "203.0.113.20", "10.99.0.1"
PORT = 8000
OURS = "203.0.113.1"
"""The address of the host itself, as it is seen from there."""

_NEW_NETWORK = 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)
# What came of each attempt: an echo, or the name of the error.
_TRY = """
import json, socket, sys
def attempt(host, port):
    with socket.socket() as client:
        client.settimeout(30)
        try:
            client.connect((host, port))
            client.sendall(b"hi")
            return client.recv(2).decode() or "closed"
        except OSError as error:
            return type(error).__name__
print(json.dumps([attempt(*each) for each in json.loads(sys.argv[1])]))
"""
_NAMES = """
import json, socket, sys
def look_up(name):
    try:
        return sorted({row[4][0] for row in socket.getaddrinfo(name, 80)})
    except socket.gaierror:
        return []
print(json.dumps([look_up(name) for name in json.loads(sys.argv[1])]))
"""


@dataclass
class Internet:
    """`names` is what can be looked up, `asked` what was; `heads` are those of the requests, and `datagrams`
    all the datagrams, that came."""

    names: dict[str, list[str]]
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    datagrams: list[bytes] = field(default_factory=list)
    _servers: list[asyncio.Server | asyncio.DatagramTransport] = field(default_factory=list)

    def look_up(self, host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        """In the place of `socket.getaddrinfo`."""
        name = host.removesuffix(".")
        self.asked.append(name)
        found = [name] if _is_address(name) else self.names.get(name, [])
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]

    async def serve(self, listeners: list[socket.socket], certificates: Authority) -> None:
        """On port 443 web servers that prove to be any `….example.test`, and on others an echo."""
        for listener in listeners:
            server: asyncio.Server | asyncio.DatagramTransport
            if listener.type == socket.SOCK_DGRAM:
                server, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Datagrams(self.datagrams), sock=listener
                )
            elif listener.getsockname()[1] == 443:
                context = certificates.choosing(lambda name: name.endswith(".example.test"))
                server = await asyncio.start_server(self._respond, sock=listener, ssl=context)
            else:
                server = await asyncio.start_server(_echo, sock=listener)
            self._servers.append(server)

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each request with as many bytes as it had, chunked; `/moved` with a redirection."""
        with contextlib.suppress(OSError, EOFError), contextlib.closing(writer):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.heads.append(head)
                await self._answer(head, reader, writer)

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.startswith("GET /moved "):
            where = b"Location: https://open.example.test/elsewhere"
            writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n" + where + b"\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for part in _body(head.lower(), reader):
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"2\r\nok\r\n0\r\n\r\n")
        await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, came: list[bytes]) -> None:
        self._came = came

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._came.append(data)
        self._transport.sendto(data, addr)


async def _body(head: str, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    if "transfer-encoding: chunked" in head:
        while length := int(await reader.readline(), 16):
            yield await reader.readexactly(length)
            await reader.readline()
        await reader.readline()
    elif "content-length: " in head:
        left = int(head.partition("content-length: ")[2].split()[0])
        while left:
            part = await reader.read(min(left, 65_536))
            left -= len(part)
            yield part


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError), contextlib.closing(writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def _is_address(text: str) -> bool:
    try:
        return bool(IPv4Address(text))
    except ValueError:
        return False


@asynccontextmanager
async def internet(folder: Path) -> AsyncIterator[Internet]:
    """One in which `….example.test` is PUBLIC, but for what tests add."""
    if os.getuid() != 0:
        pytest.skip("making networks for a test takes root")
    certificates = Authority(folder / "internet")
    made = Internet({f"{name}.example.test": [PUBLIC] for name in ("api", "open", "www")})
    with _networks() as listeners, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(certificates.bundle))
        patch.setattr(socket, "getaddrinfo", made.look_up)
        await made.serve(listeners, certificates)
        try:
            yield made
        finally:
            made.close()


async def tried(sandbox: Sandbox, *places: tuple[str, int]) -> list[str]:
    outcome = await python(sandbox, _TRY, json.dumps(places))
    assert outcome.code == 0, outcome
    said: list[str] = json.loads(outcome.out)
    return said


async def looked_up(sandbox: Sandbox, *names: str) -> list[list[str]]:
    said: list[list[str]] = json.loads((await python(sandbox, _NAMES, json.dumps(names))).out)
    return said


@asynccontextmanager
async def listed(driver: SandboxDriver, egress: Egress) -> AsyncIterator[Sandbox]:
    """A sandbox with this list. The test is skipped where the driver says that it has none."""
    try:
        sandbox = await driver.create(
            SandboxSpec(f"test-{secrets.token_hex(6)}", network=Network.LISTED, egress=egress)
        )
    except SandboxError:
        found = await driver.probe()
        if Network.LISTED not in found.networks:
            pytest.skip("no lists here: " + "; ".join(found.problems))
        raise
    try:
        yield sandbox
    finally:
        await sandbox.kill()


class OnTheInternet:
    @pytest.fixture
    async def internet(self, tmp_path: Path) -> AsyncIterator[Internet]:
        async with internet(tmp_path) as made:
            yield made


@contextmanager
def _networks() -> Iterator[list[socket.socket]]:
    """The servers' listeners; meanwhile this thread is elsewhere."""
    with ExitStack() as stack:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, home)
        stack.callback(_called, "setns", home, _NEW_NETWORK)
        _called("unshare", _NEW_NETWORK)
        _ip("link set lo up", *(f"address add {each}/32 dev lo" for each in (PUBLIC, OTHER, PRIVATE)))
        places = [(PUBLIC, PORT), (OTHER, PORT), (PRIVATE, PORT)]
        places += [(PUBLIC, 443), (OTHER, 443), (PRIVATE, 443)]
        listeners = [socket.create_server(place) for place in places]
        for port in (53, 443):
            listeners.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            listeners[-1].bind((OTHER, port))
        holder = subprocess.Popen(["sleep", "infinity"])
        stack.callback(holder.wait)
        stack.callback(holder.kill)
        _called("unshare", _NEW_NETWORK)
        joined = f"link add host type veth peer name internet netns {holder.pid}"
        _ip("link set lo up", joined, f"address add {OURS}/24 dev host", "link set host up")
        ways = [f"route add {address}/32 via 203.0.113.2" for address in (PUBLIC, OTHER, PRIVATE)]
        there = subprocess.run(
            ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "ip", "-batch", "-"],
            input=b"address add 203.0.113.2/24 dev internet\nlink set internet up\n",
            check=True,
        )
        assert there.returncode == 0
        _ip(*ways)
        yield listeners


def _ip(*lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)


def _called(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name} failed")
