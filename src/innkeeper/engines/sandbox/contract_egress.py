"""The contract of the network `LISTED`: what is on the list is reached, and nothing else, by no way."""

import asyncio
import contextlib

import pytest

from innkeeper.engines.sandbox.contract_internet import (
    OTHER,
    OURS,
    PORT,
    PRIVATE,
    PUBLIC,
    Internet,
    OnTheInternet,
    listed,
    looked_up,
    tried,
)
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, python, room
from innkeeper.engines.sandbox.sandbox import Command, Egress, SandboxDriver, SandboxError, Secret

_AROUND = """
import socket, struct, sys
address = sys.argv[1]
def attempt(name, action):
    try:
        print(name, "WORKED" if action() else "failed")
    except OSError:
        print(name, "failed")
def datagram(host, port, data=b"x"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1)
        sender.sendto(data, (host, port))
        return sender.recv(1)
def with_options(*options):
    with socket.socket() as client:
        client.settimeout(30)
        for option in options:
            client.setsockopt(*option)
        client.connect((address, 8000))
        return True
def bound():
    with socket.socket() as client:
        client.settimeout(30)
        client.bind(("192.0.2.3", 0))
        client.connect((address, 8000))
        return True
def asking(host):
    query = struct.pack("!6H", 7, 256, 1, 0, 0, 0) + b"\\3api\\7example\\4test\\0\\0\\1\\0\\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(1)
        asker.sendto(query, (host, 53))
        return asker.recv(512)
def ping():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1) as sender:
        return sender.sendto(b"\\10" * 16, (address, 0))
attempt("datagram", lambda: datagram(address, 53))
attempt("http 3", lambda: datagram(address, 443))
attempt("another name server", lambda: asking("192.0.2.2"))
attempt("a public name server", lambda: asking("8.8.8.8"))
attempt("device", lambda: with_options((socket.SOL_SOCKET, 25, b"tap0")))
attempt("mark", lambda: with_options((socket.SOL_SOCKET, 36, 1)))
attempt("address of the name server", bound)
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 6))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 8))
attempt("ping", ping)
attempt("netfilter", lambda: socket.socket(16, 3, 12))
attempt("sctp", lambda: socket.socket(2, 1, 132).connect((address, 8000)) is None)
attempt("version 6", lambda: socket.create_connection(("2606:4700:4700::1111", 443), 30))
attempt("mapped", lambda: socket.create_connection((f"::ffff:{address}", 8000), 30))
print("done")
"""
_TEXT_QUERY = """
import socket, struct, sys
name = b"".join(bytes([len(each)]) + each for each in sys.argv[1].encode().split(b".")) + b"\\0"
query = struct.pack("!6H", 7, 256, 1, 0, 0, 0) + name + struct.pack("!2H", 16, 1)
with socket.create_connection(("192.0.2.3", 53), 30) as stream, socket.socket(2, 2) as datagrams:
    stream.sendall(struct.pack("!H", len(query)) + query)
    by_stream = stream.recv(512)[2:]
    datagrams.settimeout(30)
    datagrams.sendto(query, ("192.0.2.3", 53))
    by_datagram = datagrams.recv(512)
print(by_stream == by_datagram, by_stream[3] & 15, struct.unpack("!H", by_stream[6:8])[0])
"""
_HOLD = """
import socket, sys
kept, lost = (socket.create_connection((host, 8000), 30) for host in sys.argv[1:])
print("connected", flush=True)
sys.stdin.readline()
for each in (kept, lost):
    try:
        each.sendall(b"hi")
        print(each.recv(2).decode())
    except OSError as error:
        print(type(error).__name__)
"""


class EgressContract(OnTheInternet):
    async def test_what_is_listed_is_reached_and_all_else_is_refused_at_once(
        self, internet: Internet, driver: SandboxDriver
    ) -> None:
        internet.names["one.wild.test"] = internet.names["wild.test"] = [OTHER]
        egress = Egress(["API.example.test.", "*.wild.test"], [f"{OTHER}/32:{PORT}-{PORT + 1}"])
        refused = "ConnectionRefusedError"
        async with listed(driver, egress) as sandbox:
            assert await tried(sandbox, (PUBLIC, PORT), (OTHER, PORT), (OTHER, 443)) == [
                refused,
                "hi",
                refused,
            ]
            assert await tried(sandbox, ("api.example.test", PORT), (PUBLIC, PORT)) == ["hi", "hi"]
            assert await looked_up(sandbox, "one.wild.test", "wild.test") == [[OTHER], []]
            assert await tried(sandbox, ("1.1.1.1", 443), ("8.8.8.8", 53)) == [refused, refused]
            assert await tried(sandbox, ("127.0.0.1", 1), ("192.0.2.2", 80)) == [refused, refused]

    async def test_a_list_opens_no_private_range_no_metadata_and_not_this_host(
        self, internet: Internet, driver: SandboxDriver
    ) -> None:
        """Neither by address nor by a name that leads there, which is DNS rebinding."""
        internet.names |= {
            "rebound.example.test": [PRIVATE, "169.254.169.254", OURS, "127.0.0.1", "192.0.2.2"],
            "mixed.example.test": [PRIVATE, PUBLIC],
        }
        async with listed(driver, Egress(["*"], ["0.0.0.0/0"])) as sandbox:
            names = await looked_up(
                sandbox, "rebound.example.test", "mixed.example.test", "open.example.test"
            )
            assert names == [[], [PUBLIC], [PUBLIC]]
            assert await tried(sandbox, (OTHER, PORT), (PUBLIC, PORT)) == ["hi", "hi"]
            places = [
                (host, PORT) for host in (PRIVATE, OURS, "169.254.169.254", "100.100.100.200", "10.0.0.1")
            ]
            assert set(await tried(sandbox, *places)) <= {"PermissionError", "ConnectionRefusedError"}

    async def test_no_other_protocol_and_no_trick_leads_around(
        self, internet: Internet, driver: SandboxDriver
    ) -> None:
        egress = Egress(["api.example.test"])
        async with listed(driver, egress) as sandbox:
            lines = (await python(sandbox, _AROUND, OTHER)).text.splitlines()
            assert [line for line in lines if line.endswith("WORKED")] == []
            assert lines[-1] == "done"
            assert internet.datagrams == []

    async def test_names_that_are_not_listed_are_never_asked_for(
        self, internet: Internet, driver: SandboxDriver
    ) -> None:
        """So that nothing can be told to anybody in a name, nor in a record that holds text."""
        egress = Egress(["api.example.test"])
        async with listed(driver, egress) as sandbox:
            tunnel = "c2VjcmV0.tunnel.test"
            assert await looked_up(sandbox, tunnel, "c2VjcmV0.api.example.test") == [[], []]
            assert (await python(sandbox, _TEXT_QUERY, tunnel)).text == "True 3 0"
            assert (await python(sandbox, _TEXT_QUERY, "api.example.test")).text == "True 0 0"
            assert internet.asked == []
            assert await looked_up(sandbox, "api.example.test") == [[PUBLIC]]
            assert internet.asked == ["api.example.test"]

    async def test_what_one_sandbox_was_answered_opens_nothing_for_another(
        self, internet: Internet, driver: SandboxDriver
    ) -> None:
        egress = Egress(["api.example.test"])
        async with (
            listed(driver, egress) as first,
            listed(driver, egress) as second,
        ):
            assert await tried(first, ("api.example.test", PORT)) == ["hi"]
            assert await tried(second, (PUBLIC, PORT)) == ["ConnectionRefusedError"]

    async def test_a_list_is_changed_live(self, internet: Internet, driver: SandboxDriver) -> None:
        """What is no longer listed ends, what still is goes on, and a bad list changes nothing."""
        internet.names["other.test"] = [OTHER]
        egress = Egress(["*.example.test", "other.test"])
        async with listed(driver, egress) as sandbox:
            holder = await sandbox.exec(Command(["python3", "-c", _HOLD, "api.example.test", "other.test"]))
            await heard(holder.stdout, b"connected\n")
            for bad in (Egress(["999"]), Egress(cidrs=["::1"]), Egress(secrets=[Secret("*", "X-A", "b")])):
                with pytest.raises(SandboxError):
                    await sandbox.set_egress(bad)
            assert await tried(sandbox, ("other.test", PORT)) == ["hi"]
            await sandbox.set_egress(Egress(["*.example.test"]))
            holder.stdin.write(b"\n")
            async with asyncio.timeout(PATIENCE_SECONDS):
                kept, lost = (await holder.stdout.read()).split()
            assert (kept, lost[:10]) == (b"hi", b"Connection")
            holder.close()
            assert await tried(sandbox, (OTHER, PORT), (PUBLIC, PORT)) == ["ConnectionRefusedError", "hi"]
            with contextlib.suppress(SandboxError):
                await sandbox.pause()
            await sandbox.set_egress(Egress())
            await sandbox.resume()
            assert await tried(sandbox, (PUBLIC, PORT)) == ["ConnectionRefusedError"]

    async def test_only_a_sandbox_with_a_list_has_one_to_change(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            with pytest.raises(SandboxError, match="listed"):
                await sandbox.set_egress(Egress())
        with pytest.raises(SandboxError, match="no egress list"):
            async with room(driver, egress=Egress(["api.example.test"])):
                pass
