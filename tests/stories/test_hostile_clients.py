"""Clients that break the rules are turned away in bounded time, and nobody else notices."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from websockets.asyncio.client import connect

from tests.running import Agents, RunningServer, new_session
from tests.stories.conftest import share_packages
from tests.stories.processes import until

ARRIVAL_SECONDS = 3.0
BOUND_SECONDS = 20.0
SESSION = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"
HEAD = b"POST /-/v1/keys HTTP/1.1\r\nHost: innkeeper\r\n"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[RunningServer]:
    folder = share_packages(tmp_path_factory.mktemp("hostile") / "inn", packages)
    running = RunningServer(folder, {"request_arrival_timeout_seconds": str(ARRIVAL_SECONDS)}).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def arn(agents: Agents) -> str:
    return str(agents.deploy()["agentRuntimeArn"])


@pytest.fixture(autouse=True)
def unharmed(server: RunningServer, agents: Agents, arn: str) -> Iterator[None]:
    """After each test another's session goes on as before, and the server's log tells of no accident and
    no signature."""
    session = new_session()
    assert agents.ask(arn, session, do="count")["calls"] == 1
    logged = server.log.stat().st_size
    yield
    assert agents.ask(arn, session, do="count")["calls"] == 2
    assert server.native("GET", "/-/health")["status"] == "ok"
    said = server.log.read_bytes()[logged:]
    assert b"Traceback" not in said
    assert b"Signature" not in said


def stranger(server: RunningServer) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=BOUND_SECONDS)


def last_words(connection: socket.socket) -> bytes:
    """All that the server says before it closes the connection, which it does in bounded time."""
    said = b""
    try:
        while chunk := connection.recv(65_536):
            said += chunk
    except ConnectionResetError:
        pass
    return said


def invocation(server: RunningServer, arn: str, session: str, **order: Any) -> bytes:
    """A signed request, byte for byte."""
    body = json.dumps(order).encode()
    path = f"/runtimes/{quote(arn, safe='')}/invocations"
    headers = {"Host": urlsplit(server.url).netloc, SESSION: session}
    request = AWSRequest("POST", server.url + path, headers, body)
    SigV4Auth(Credentials(*server.keys), "bedrock-agentcore", "us-west-2").add_auth(request)
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def presigned(server: RunningServer, arn: str, path: str) -> str:
    request = AWSRequest(
        "GET", f"{server.url}/runtimes/{quote(arn, safe='')}/{path}?{SESSION}={new_session()}"
    )
    SigV4QueryAuth(Credentials(*server.keys), "bedrock-agentcore", "us-west-2", expires=60).add_auth(request)
    return str(request.url)


@pytest.mark.parametrize(
    "begun",
    [b"GET /-/hea", HEAD, HEAD + b"Content-Length: 10\r\n\r\nabc", b""],
    ids=["line", "head", "body", "nothing"],
)
def test_a_request_that_ends_in_the_middle_is_forgotten(server: RunningServer, begun: bytes) -> None:
    with stranger(server) as connection:
        connection.sendall(begun)
        connection.shutdown(socket.SHUT_WR)
        assert last_words(connection) == b""


def test_an_invocation_that_ends_in_the_middle_never_reaches_the_agent(
    server: RunningServer, agents: Agents, arn: str
) -> None:
    session = new_session()
    assert agents.ask(arn, session, do="count")["calls"] == 1
    with stranger(server) as connection:
        connection.sendall(invocation(server, arn, session, do="count")[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert last_words(connection) == b""
    assert agents.ask(arn, session, do="count")["calls"] == 2


@pytest.mark.parametrize(
    "begun", [HEAD + b"X: ", HEAD + b"Content-Length: 1000000\r\n\r\n"], ids=["head", "body"]
)
def test_a_request_that_trickles_in_is_cut_off(server: RunningServer, begun: bytes) -> None:
    with stranger(server) as connection:
        connection.sendall(begun)
        started = time.monotonic()
        try:
            while time.monotonic() - started < BOUND_SECONDS:
                connection.sendall(b"a")
                time.sleep(0.2)
        except OSError:
            return
    raise AssertionError("the server still listens")


def test_who_says_nothing_is_not_waited_for(server: RunningServer) -> None:
    with stranger(server) as silent, stranger(server) as half:
        half.sendall(HEAD)
        assert last_words(silent) == last_words(half) == b""


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
        b"GET\r\n\r\n",
        b"\0" * 100_000,
        b"GET / HTTP/9.9\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"No colon in this line\r\n\r\n",
    ],
    ids=["tls", "short", "zeros", "version", "negative", "lengths", "smuggled", "chunk", "line"],
)
def test_garbage_is_refused(server: RunningServer, garbage: bytes) -> None:
    with stranger(server) as connection:
        connection.sendall(garbage)
        said = last_words(connection)
    assert said == b"" or said.startswith(b"HTTP/1.1 400 ")


def test_a_header_without_end_is_refused_before_it_is_kept(server: RunningServer) -> None:
    with stranger(server) as connection:
        connection.sendall(HEAD + b"X-Long: ")
        try:
            for _ in range(160):
                connection.sendall(b"a" * 65_536)
            connection.sendall(b"\r\n\r\n")
        except OSError:
            return  # it was closed in the middle
        assert last_words(connection).startswith(b"HTTP/1.1 400 ")


def test_a_body_without_end_is_refused_before_it_is_kept(server: RunningServer) -> None:
    for announced in (b"Content-Length: 10000000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
        with stranger(server) as connection:
            connection.sendall(HEAD + announced)
            try:
                for _ in range(100):
                    connection.sendall(b"10000\r\n" + b"a" * 0x10000 + b"\r\n")
            except OSError:
                pass  # it was closed in the middle
            else:
                assert last_words(connection).startswith(b"HTTP/1.1 413 ")


def test_requests_sent_before_the_first_answer_are_answered_in_order(
    server: RunningServer, agents: Agents, arn: str
) -> None:
    session = new_session()
    agents.ask(arn, session, do="count")
    with stranger(server) as connection:
        connection.sendall(b"".join(invocation(server, arn, session, do="echo", number=n) for n in range(5)))
        said = b""
        while said.count(b'"number"') < 5:
            said += connection.recv(65_536)
    assert [line for line in said.decode().splitlines() if line.startswith('{"number"')] == [
        f'{{"number": {n}}}' for n in range(5)
    ]


def test_a_long_answer_and_a_socket_outlive_the_arrival_limit(
    server: RunningServer, agents: Agents, arn: str
) -> None:
    seconds = ARRIVAL_SECONDS + 1
    assert agents.ask(arn, new_session(), do="hang", seconds=seconds) == {}
    asyncio.run(shell_for(server, arn, seconds))


@pytest.mark.parametrize("path", ["ws", "ws/shells"])
def test_who_leaves_before_their_socket_is_open_is_not_missed(
    server: RunningServer, arn: str, path: str
) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    with stranger(server) as connection:
        request = presigned(server, arn, path).removeprefix(server.url)
        lines = (f"GET {request} HTTP/1.1", *upgrade, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
        connection.sendall("\r\n".join((*lines, f"Host: {urlsplit(server.url).netloc}", "", "")).encode())
    time.sleep(1)  # the session is starting meanwhile


async def shell_for(server: RunningServer, arn: str, seconds: float) -> None:
    """A shell that still answers after so long."""
    url = presigned(server, arn, "ws/shells").replace("http", "ws", 1)
    async with connect(url) as shell, asyncio.timeout(seconds + 10):
        await asyncio.sleep(seconds)
        await shell.send(b"\x00echo $((6 * 7))\n")
        said = b""
        while b"\n42" not in said and b"\r42" not in said:
            said += (await shell.recv(decode=False))[1:]  # behind the channel


def test_a_caller_who_leaves_amid_a_stream_ends_it_and_the_session_stays(
    server: RunningServer, agents: Agents, arn: str
) -> None:
    session = new_session()
    with stranger(server) as connection:
        connection.sendall(invocation(server, arn, session, do="stream", count=10_000, pause=0.02))
        said = b""
        while b'"number": 3' not in said:
            said += connection.recv(65_536)
    runtime_id = arn.rpartition("/")[2]
    path = f"/-/v1/runtimes/{runtime_id}/sessions/{session}/logs"

    def agent_was_told() -> bool:
        log = server.native("GET", path)
        return "BrokenPipeError" in log or "ConnectionResetError" in log

    assert until(agent_was_told, BOUND_SECONDS)
    assert agents.ask(arn, session, do="count")["calls"] == 2


def test_fifty_calls_of_one_session_at_once_all_reach_it(
    server: RunningServer, agents: Agents, arn: str
) -> None:
    session = new_session()
    agents.ask(arn, session, do="count")
    client = server.client("bedrock-agentcore", max_pool_connections=50)

    def ask(_: int) -> int:
        answer = client.invoke_agent_runtime(
            agentRuntimeArn=arn, runtimeSessionId=session, payload=b'{"do": "count"}'
        )
        return int(json.loads(answer["response"].read())["calls"])

    with ThreadPoolExecutor(50) as pool:
        answers = sorted(pool.map(ask, range(50)))
    assert answers[-1] == 51
    assert len(answers) == 50
