"""The contract of `dial` and of relays."""

import asyncio
import socket

import pytest

from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, python, room
from innkeeper.engines.sandbox.sandbox import Command, Relay, Sandbox, SandboxDriver, SandboxError

_ECHO = """
import socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            self.wfile.write(b"echo " + line)
        self.wfile.write(b"bye")
class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128
server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""
_ASK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as client:
    client.sendall(b"from inside")
    client.shutdown(socket.SHUT_WR)
    print(b"".join(iter(lambda: client.recv(65536), b"")).decode())
"""


async def _echo_server(sandbox: Sandbox, port: int) -> None:
    server = await sandbox.exec(Command(["python3", "-c", _ECHO, str(port)]))
    await heard(server.stdout, b"listening")
    server.close()


async def _ask(sandbox: Sandbox, port: int, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(sock=await sandbox.dial(port))
    writer.write(line)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    writer.close()
    await writer.wait_closed()
    return answer


class ConnectionContract:
    async def test_a_port_that_nobody_listens_on_refuses(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            for port in (8080, 40_000):
                with pytest.raises(ConnectionRefusedError):
                    await sandbox.dial(port)

    @pytest.mark.parametrize("port", [-1, 0, 65_536])
    async def test_no_port_at_all_is_refused(self, driver: SandboxDriver, port: int) -> None:
        async with room(driver) as sandbox:
            with pytest.raises(SandboxError, match="port"):
                await sandbox.dial(port)
            with pytest.raises(ConnectionRefusedError):
                await sandbox.dial(1)

    async def test_a_server_inside_answers(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            await _echo_server(sandbox, 8080)
            dialled = await sandbox.dial(8080)
            assert dialled.getblocking() is False
            dialled.close()
            assert await _ask(sandbox, 8080, b"hello\n") == b"echo hello\nbye"

    async def test_many_connections_at_once_are_kept_apart(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            await _echo_server(sandbox, 8080)
            answers = await asyncio.gather(*(_ask(sandbox, 8080, b"%d\n" % n) for n in range(40)))
            assert answers == [b"echo %d\nbye" % n for n in range(40)]

    async def test_a_relay_carries_both_ways_without_any_network(self, driver: SandboxDriver) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"you said: " + await reader.read())
            writer.write(b"." * 1_000_000)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        outside = server.sockets[0].getsockname()[1]
        async with server, room(driver, relays=[Relay(9000, "127.0.0.1", outside)]) as sandbox:
            answers = await asyncio.gather(*(python(sandbox, _ASK, "9000") for _ in range(5)))
            expected = "you said: from inside" + "." * 1_000_000
            assert [answer.text == expected for answer in answers] == [True] * 5

    async def test_a_relay_to_nobody_closes(self, driver: SandboxDriver) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            relays = [Relay(9000, "127.0.0.1", unused.getsockname()[1])]
            async with room(driver, relays=relays) as sandbox:
                for _ in range(3):
                    outcome = await python(sandbox, _ASK, "9000")
                    assert outcome.text == ""
                    assert b"timed out" not in outcome.err

    async def test_a_relay_ends_with_the_sandbox(self, driver: SandboxDriver) -> None:
        ended = asyncio.Event()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"welcome")
            await reader.read()
            ended.set()
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        outside = server.sockets[0].getsockname()[1]
        script = (
            "import socket; c = socket.create_connection(('127.0.0.1', 9000)); print(c.recv(9)); c.recv(9)"
        )
        async with server:
            async with room(driver, relays=[Relay(9000, "127.0.0.1", outside)]) as sandbox:
                client = await sandbox.exec(Command(["python3", "-u", "-c", script]))
                await heard(client.stdout, b"welcome")
                client.close()
            await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)

    async def test_two_relays_to_one_port_are_refused(self, driver: SandboxDriver) -> None:
        relays = [Relay(9000, "127.0.0.1", 1), Relay(9000, "127.0.0.1", 2)]
        with pytest.raises(SandboxError, match="9000"):
            async with room(driver, relays=relays):
                pass
