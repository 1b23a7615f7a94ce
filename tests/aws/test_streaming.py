"""Answers that come piece by piece, and callers who leave, stall or send too much."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import EventStreamError, ResponseStreamingError

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.errors import Conflict, Throttled
from tests.aws.serving import ROOT_KEY, Served, client, running

RUNTIME = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/my_agent-a1B2c3D4e5"
INVOKE = "/runtimes/" + RUNTIME.replace(":", "%3A").replace("/", "%2F") + "/invocations"
WAIT = 10.0


class Agent:
    """Streams what the test lets it, and remembers how it ended."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.started = threading.Event()
        self.closed = threading.Event()
        self.finished = threading.Event()

    async def invoke_agent_runtime(self, call: Call, parameters: Document) -> Document:
        if parameters["payload"] == b"think":
            try:
                self.started.set()
                await asyncio.sleep(WAIT)
            finally:
                self.closed.set()
        return {"contentType": "text/event-stream", "statusCode": 200, "response": self._chunks(parameters)}

    async def invoke_code_interpreter(self, call: Call, parameters: Document) -> Document:
        return {"sessionId": "session1", "stream": self._results(parameters["name"])}

    async def create_event(self, call: Call, parameters: Document) -> Document:
        self.started.set()
        await asyncio.sleep(0.3)
        self.finished.set()
        return {"event": parameters | {"eventId": "0#a"}}

    async def _chunks(self, parameters: Document) -> AsyncIterator[bytes]:
        try:
            yield b"data: first\n\n"
            if parameters["payload"] == b"break":
                raise OSError("the agent is gone")
            while not self.go_on.is_set():
                self.started.set()
                await asyncio.sleep(0.01)
            yield b"data: second\n\n"
        finally:
            self.closed.set()

    async def _results(self, name: str) -> AsyncIterator[Document]:
        yield {"result": {"content": [{"type": "text", "text": "1"}]}}
        if name == "readFiles":
            raise Throttled("too many at once")
        if name == "listFiles":
            raise ZeroDivisionError("secret detail")
        if name == "writeFiles":
            raise Conflict("a conflict here is \u00fcber")
        yield {"result": {"content": [{"type": "text", "text": "2"}], "isError": False}}


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def url(agent: Agent) -> Iterator[str]:
    operations = {
        "InvokeAgentRuntime": agent.invoke_agent_runtime,
        "InvokeCodeInterpreter": agent.invoke_code_interpreter,
        "CreateEvent": agent.create_event,
    }
    with running(Served(agentcore=operations, body_limit_bytes=1000, body_timeout_seconds=0.5).wire()) as url:
        yield url


def test_a_chunk_is_here_before_the_next_is_made(url: str, agent: Agent) -> None:
    answer = client("bedrock-agentcore", url).invoke_agent_runtime(agentRuntimeArn=RUNTIME, payload=b"")
    assert answer["contentType"] == "text/event-stream"
    assert answer["response"].read(13) == b"data: first\n\n"
    agent.go_on.set()
    assert answer["response"].read() == b"data: second\n\n"
    assert agent.closed.wait(WAIT)


def test_a_stream_that_breaks_does_not_look_whole(url: str, agent: Agent) -> None:
    answer = client("bedrock-agentcore", url).invoke_agent_runtime(agentRuntimeArn=RUNTIME, payload=b"break")
    with pytest.raises(ResponseStreamingError):
        answer["response"].read()


def test_events_are_framed_one_by_one(url: str) -> None:
    answer = interpret(url, "executeCode")
    assert answer["sessionId"] == "session1"
    texts = [event["result"]["content"][0]["text"] for event in answer["stream"]]
    assert texts == ["1", "2"]


@pytest.mark.parametrize(
    "name, code, message",
    [
        ("readFiles", "throttlingException", "too many at once"),
        ("writeFiles", "conflictException", "a conflict here is \u00fcber"),
        ("listFiles", "internalServerException", "The server failed"),
    ],
)
def test_a_failure_amid_events_is_an_event_too(url: str, name: str, code: str, message: str) -> None:
    stream = interpret(url, name)["stream"]
    events = iter(stream)
    assert next(events)["result"]
    with pytest.raises(EventStreamError, match=message) as failure:
        next(events)
    stream.close()
    assert failure.value.response["Error"]["Code"] == code


def test_a_caller_who_leaves_ends_the_stream(url: str, agent: Agent) -> None:
    with connect(url) as caller:
        caller.sendall(signed(url, "POST", INVOKE, b"x"))
        assert b"200 OK" in caller.recv(100)
        assert agent.started.wait(WAIT)
    assert agent.closed.wait(WAIT)


def test_a_caller_who_leaves_before_the_answer_ends_the_work(url: str, agent: Agent) -> None:
    with connect(url) as caller:
        caller.sendall(signed(url, "POST", INVOKE, b"think"))
        assert agent.started.wait(WAIT)
    assert agent.closed.wait(WAIT / 2)


def test_a_caller_who_shuts_their_side_ends_the_work(url: str, agent: Agent) -> None:
    with connect(url) as caller:
        caller.sendall(signed(url, "POST", INVOKE, b"think"))
        caller.shutdown(socket.SHUT_WR)
        assert agent.closed.wait(WAIT / 2)


def test_what_changes_something_is_carried_through(url: str, agent: Agent) -> None:
    event = {"actorId": "a", "eventTimestamp": 1.5, "payload": [{"blob": {"a": 1}}]}
    with connect(url) as caller:
        body = json.dumps(event).encode()
        caller.sendall(signed(url, "POST", "/memories/memory-a1B2c3D4e5/events", body))
        assert agent.started.wait(WAIT)
    assert agent.finished.wait(WAIT)


def test_a_body_over_the_limit_is_refused_before_it_is_sent(url: str) -> None:
    with connect(url) as caller:
        caller.sendall(signed(url, "POST", INVOKE, b"x", b"Content-Length: 1001\r\n", announce=False))
        assert b"413" in caller.recv(4000).split(b"\r\n")[0]


def test_a_body_that_grows_over_the_limit_is_refused(url: str) -> None:
    with connect(url) as caller:
        caller.sendall(signed(url, "POST", INVOKE, b"", b"Transfer-Encoding: chunked\r\n", announce=False))
        caller.sendall(b"258\r\n" + b"x" * 600 + b"\r\n" + b"258\r\n" + b"x" * 600 + b"\r\n")
        answer = caller.recv(4000)
        assert b"413" in answer.split(b"\r\n")[0]
        assert b"RequestEntityTooLargeException" in answer


def test_a_body_that_never_comes_is_not_waited_for(url: str) -> None:
    with connect(url) as caller:
        caller.sendall(signed(url, "POST", INVOKE, b"", b"Content-Length: 10\r\n", announce=False))
        assert b"408" in caller.recv(4000).split(b"\r\n")[0]


def test_a_caller_who_leaves_amid_their_request_harms_nobody(url: str, agent: Agent) -> None:
    with connect(url) as caller:
        caller.sendall(signed(url, "POST", INVOKE, b"x", b"Content-Length: 10\r\n", announce=False))
    agent.go_on.set()
    assert client("bedrock-agentcore", url).invoke_agent_runtime(agentRuntimeArn=RUNTIME, payload=b"y")


def interpret(url: str, name: str) -> Any:
    session = {"codeInterpreterIdentifier": "aws.codeinterpreter.v1", "sessionId": "session1"}
    return client("bedrock-agentcore", url).invoke_code_interpreter(name=name, **session)


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=WAIT)


def signed(
    url: str, method: str, path: str, body: bytes, headers: bytes = b"", announce: bool = True
) -> bytes:
    """The bytes of a signed request; `headers` are more of them, not signed."""
    request = AWSRequest(method, url + path, headers={"Host": urlsplit(url).netloc}, data=body)
    credentials = Credentials(ROOT_KEY.access_key_id, ROOT_KEY.secret_access_key)
    SigV4Auth(credentials, "bedrock-agentcore", "eu-west-1").add_auth(request)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    if announce:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n" + headers + b"\r\n" + (body if announce else b"")
