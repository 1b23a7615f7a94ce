"""WebSockets to an agent made with the public SDK, and shells in its session."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.running import Agents, RunningServer, new_session

SESSION = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"
STDIN, STDOUT, STATUS, RESIZE, HEARTBEAT, CLOSE = b"\x00", b"\x01", b"\x03", b"\x04", b"\x05", b"\xff"


@pytest.fixture(scope="module")
def arn(agents: Agents) -> str:
    source = (Path(__file__).parents[2] / "agents" / "sockets.py").read_text()
    files = {"main.py": source, "requirements.txt": "bedrock-agentcore\n"}
    return str(agents.deploy(files)["agentRuntimeArn"])


@contextlib.asynccontextmanager
async def socket(
    server: RunningServer, arn: str, session: str, path: str = "ws", presigned: bool = False, query: str = ""
) -> AsyncIterator[ClientConnection]:
    url = f"{server.url}/runtimes/{quote(arn, safe='')}/{path}?qualifier=DEFAULT{query}"
    credentials = Credentials(*server.keys)
    if presigned:
        request = AWSRequest("GET", f"{url}&{SESSION}={session}")
        SigV4QueryAuth(credentials, "bedrock-agentcore", "us-west-2", expires=60).add_auth(request)
        headers: dict[str, str] = {}
    else:
        request = AWSRequest("GET", url, headers={SESSION: session})
        SigV4Auth(credentials, "bedrock-agentcore", "us-west-2").add_auth(request)
        headers = dict(request.headers)
    async with connect(request.url.replace("http", "ws", 1), additional_headers=headers) as connection:
        yield connection


async def test_messages_go_both_ways_and_the_agent_can_close(server: RunningServer, arn: str) -> None:
    session = new_session()
    async with socket(server, arn, session) as connection:
        for text in ("one", "two"):
            await connection.send(text)
            assert json.loads(await connection.recv()) == {"echo": text, "session": session}
        await connection.send("close")
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4321


async def test_a_presigned_url_opens_a_socket(server: RunningServer, arn: str) -> None:
    session = new_session()
    async with socket(server, arn, session, presigned=True) as connection:
        await connection.send("hello")
        assert json.loads(await connection.recv())["session"] == session


async def test_a_socket_without_proof_is_refused(server: RunningServer, arn: str) -> None:
    url = f"{server.url}/runtimes/{quote(arn, safe='')}/ws".replace("http", "ws", 1)
    with pytest.raises(InvalidStatus) as caught:
        await connect(url)
    assert caught.value.response.status_code == 403


async def test_a_socket_to_nowhere_is_refused(server: RunningServer) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{server.url}/no/such/socket".replace("http", "ws", 1))
    assert caught.value.response.status_code == 403


async def test_the_sdks_entry_point_streams(agents: Agents, arn: str) -> None:
    answer = await asyncio.to_thread(
        agents.data.invoke_agent_runtime,
        agentRuntimeArn=arn,
        runtimeSessionId=new_session(),
        payload=b'{"prompt": "good morning"}',
    )
    text = answer["response"].read().decode()
    assert [line for line in text.splitlines() if line] == [
        'data: {"word": "good"}',
        'data: {"word": "morning"}',
    ]


class Shell:
    """The client's end of a shell: it keeps what is printed."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.output = ""
        self.statuses: list[dict[str, Any]] = []

    async def type(self, text: str) -> None:
        await self.connection.send(STDIN + text.encode())

    async def until(self, text: str = "", statuses: int = 0) -> None:
        async with asyncio.timeout(60):
            while text not in self.output or len(self.statuses) < statuses:
                message = await self.connection.recv()
                assert isinstance(message, bytes)
                if message[:1] == STDOUT:
                    self.output += message[1:].decode()
                elif message[:1] == STATUS:
                    self.statuses.append(json.loads(message[1:]))


async def test_a_shell_is_interactive_and_outlives_its_connection(server: RunningServer, arn: str) -> None:
    session = new_session()
    async with socket(server, arn, session, "ws/shells") as connection:
        shell = Shell(connection)
        await shell.until(statuses=1)
        shell_id = shell.statuses[0]["metadata"]["shellId"]
        assert shell.statuses[0]["metadata"]["reconnected"] is False
        await connection.send(RESIZE + b'{"width": 120, "height": 33}')
        await shell.type("stty size; NAME=kept\n")
        await shell.until("33 120")
    async with socket(server, arn, session, "ws/shells", query=f"&shellId={shell_id}") as connection:
        shell = Shell(connection)
        await shell.until("33 120", statuses=1)
        assert shell.statuses[0]["metadata"] == {"shellId": shell_id, "reconnected": True}
        await shell.type("echo name=$NAME; exit 5\n")
        await shell.until("name=kept", statuses=2)
    assert shell.statuses[1]["details"]["causes"] == [{"reason": "ExitCode", "message": "5"}]


async def test_who_connects_last_has_the_shell(server: RunningServer, arn: str) -> None:
    session, query = new_session(), "&shellId=shared"
    async with socket(server, arn, session, "ws/shells", query=query) as first:
        await Shell(first).until(statuses=1)
        async with socket(server, arn, session, "ws/shells", query=query) as second:
            await Shell(second).until(statuses=1)
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    await first.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 4000
            await second.send(HEARTBEAT)
            async with asyncio.timeout(60):
                while await second.recv() != HEARTBEAT:
                    pass
            await second.send(CLOSE)
