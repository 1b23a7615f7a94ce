"""A web service inside a session, as browsers and programs reach it, and as nobody else does."""

import http.client
import json
import socket
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.running import Agents, RunningServer, new_session
from tests.services.code_interpreter.coding import Coding
from tests.services.sandboxes.lodging import Lodging
from tests.stories.processes import until

pytestmark = pytest.mark.timeout(300)

PORT = 8000
SETTINGS = {
    "code_interpreter_packages": "[]",
    "code_interpreter_pool_count": "0",
    "web_domain": "localhost",
    "web_answer_timeout_seconds": "5",
    "web_message_max_bytes": "70000",
    "request_body_max_bytes": "3000000",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("web"), SETTINGS).start()
    yield running
    running.stop()


class Visitor:
    """Who has been granted the service of a session."""

    def __init__(self, server: RunningServer, session: str, port: int = PORT) -> None:
        self.server = server
        self.granted = server.native("POST", "/-/v1/web", {"id": session, "port": port})
        self.token: str = self.granted["token"]
        self.bearer = {"Authorization": f"Bearer {self.token}"}
        self.prefix = f"/-/web/{session}/{port}"
        self.host: str = urlsplit(self.granted["url"]).netloc

    def open(self, method: str, target: str, headers: dict[str, str], body: Any = None) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=60)
        connection.request(method, target, body, headers)
        return connection.getresponse()

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: Any = None
    ) -> Any:
        """The service's answer in the path's form, as the JSON that it is."""
        with self.open(method, self.prefix + path, {**self.bearer, **(headers or {})}, body) as answer:
            assert answer.status == 200, answer.read()
            return json.loads(answer.read())

    def status(self, target: str, headers: dict[str, str] | None = None, method: str = "GET") -> int:
        with self.open(method, target, self.bearer if headers is None else headers) as answer:
            answer.read()
            return int(answer.status)


@pytest.fixture(scope="module")
def visitor(server: RunningServer) -> Iterator[Visitor]:
    source = (Path(__file__).parent / "inside.py").read_text()
    with Coding(server) as coding:
        coding.invoke("writeFiles", content=[{"path": "inside.py", "text": source}])
        coding.invoke("startCommandExecution", command=f"python inside.py {PORT}")
        visitor = Visitor(server, coding.id)
        assert until(lambda: visitor.status(visitor.prefix + "/") == 200, 60)
        yield visitor


def test_requests_arrive_as_they_were_sent_without_the_token(visitor: Visitor) -> None:
    headers = {"X-Own": "kept", "Cookie": "a=1", "Connection": "X-Hop", "X-Hop": "dropped"}
    told = visitor.ask("/a/../%2e%2e//b%2Fc;d?q=%20+&token=own", headers=headers)
    assert told["target"] == "/a/../%2e%2e//b%2Fc;d?q=%20+&token=own"
    sent = dict(told["headers"])
    assert (sent["x-own"], sent["cookie"]) == ("kept", "a=1")
    assert sent["x-forwarded-prefix"] == visitor.prefix
    assert "x-hop" not in sent
    assert visitor.token not in json.dumps(told)
    assert visitor.ask("/", "POST", body=b"x" * 2_000_000)["size"] == 2_000_000
    assert visitor.ask("/", "PUT", body=iter([b"ab", b"cde"]))["size"] == 5
    with visitor.open("HEAD", visitor.prefix + "/", visitor.bearer) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "12345")


def test_an_answer_streams_as_it_comes(visitor: Visitor) -> None:
    with visitor.open("GET", visitor.prefix + "/stream", visitor.bearer) as answer:
        assert answer.readline() == b"data: first\n"
        visitor.ask("/release")
        assert answer.read() == b"\ndata: second\n\n"


def test_a_browser_trades_its_link_for_a_cookie(visitor: Visitor) -> None:
    link = urlsplit(visitor.granted["link"])
    assert link.hostname == f"{PORT}-{visitor.granted['id'].lower()}.localhost"
    page = {"Host": visitor.host, "Accept": "text/html"}
    with visitor.open("GET", f"//x/?b=1&{link.query}", page) as answer:
        assert answer.status == 307
        assert answer.headers["Location"] == f"http://{visitor.host}//x/?b=1"
        cookie, _, attributes = answer.headers["Set-Cookie"].partition("; ")
    assert attributes.startswith("Path=/; Max-Age=")
    assert attributes.endswith("HttpOnly; SameSite=Lax")
    with visitor.open("GET", "/x", {**page, "Cookie": cookie}) as answer:
        told = json.loads(answer.read())
    assert [value for name, value in told["headers"] if name in ("cookie", "host")] == [visitor.host]
    assert visitor.status("/x", {**page, "Cookie": cookie, "Origin": "http://8000-other.localhost"}) == 403
    with visitor.open("GET", visitor.prefix + "?" + link.query, {"Accept": "text/html"}) as answer:
        assert answer.headers["Location"] == visitor.prefix + "/"
        assert f"; Path={visitor.prefix}/;" in answer.headers["Set-Cookie"]


def test_what_a_service_sets_stays_its_own(visitor: Visitor) -> None:
    with visitor.open("GET", visitor.prefix + "/own", visitor.bearer) as answer:
        assert answer.status == 302
        assert answer.headers["Location"] == f"{visitor.prefix}/next?a=b"
        assert answer.headers.get_all("Set-Cookie") == [f"mine=1; HttpOnly; Path={visitor.prefix}/"]
        assert "Strict-Transport-Security" not in answer.headers
        assert "X-Hop" not in answer.headers


def test_messages_go_both_ways(visitor: Visitor, server: RunningServer) -> None:
    url = f"{server.url}{visitor.prefix}/ws".replace("http", "ws", 1)
    chat = [Subprotocol("news"), Subprotocol("chat")]
    with connect(f"{url}?a=1&token={visitor.token}", subprotocols=chat) as connection:
        assert connection.subprotocol == "chat"
        assert json.loads(connection.recv()) == {"cookie": None, "target": "/ws?a=1"}
        for message in ("hello", b"\x00\x01"):
            connection.send(message)
            assert connection.recv() == message
        connection.send("x" * 80_000)
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
    for wrong, status in ((url, 401), (f"{url}?token={visitor.token}x", 401)):
        with pytest.raises(InvalidStatus) as refused:
            connect(wrong)
        assert refused.value.response.status_code == status
    with pytest.raises(InvalidStatus) as refused:
        connect(url.removesuffix("ws"), additional_headers=visitor.bearer)
    assert refused.value.response.status_code == 502


def test_failures_are_told_apart(visitor: Visitor, server: RunningServer) -> None:
    prefix = visitor.prefix
    assert visitor.status(prefix + "/", {}) == 401
    assert visitor.status(f"/-/web/{visitor.granted['id']}/{PORT + 1}/") == 401
    assert visitor.status(f"/-/web/{visitor.granted['id'].lower()}x/{PORT}/") == 401
    assert visitor.status(prefix + "/garbage") == 502
    assert visitor.status(prefix + "/silent") == 504
    closed = Visitor(server, visitor.granted["id"], PORT + 1)
    assert closed.status(closed.prefix + "/") == 502
    assert visitor.status(prefix + "/", {**visitor.bearer, "Content-Length": "3000001"}, "POST") == 413
    with pytest.raises(http.client.IncompleteRead):
        visitor.ask("/cut")
    with pytest.raises(AssertionError, match="RequestEntityTooLarge"):
        visitor.ask("/", "POST", body=iter([b"x" * 1_000_000] * 4))
    assert visitor.ask("/")["method"] == "GET"


def test_two_hosts_or_two_lengths_are_refused(visitor: Visitor) -> None:
    address = urlsplit(visitor.server.url)
    for extra in (
        "Host: other",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Transfer-Encoding: chunked, identity",
    ):
        with socket.create_connection((address.hostname, address.port), 30) as raw:
            head = f"POST {visitor.prefix}/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {visitor.token}"
            raw.sendall(f"{head}\r\n{extra}\r\n\r\n0\r\n\r\n".encode())
            assert raw.recv(12) == b"HTTP/1.1 400", extra


def test_only_the_owner_is_granted_it_and_only_while_it_lives(
    visitor: Visitor, server: RunningServer
) -> None:
    def refusal(order: Any, keys: tuple[str, str] | None = None) -> int:
        with pytest.raises(urllib.error.HTTPError) as caught:
            server.native("POST", "/-/v1/web", order, keys)
        caught.value.close()
        return caught.value.code

    session = visitor.granted["id"]
    assert refusal({"id": session, "port": PORT}, server.new_tenant()) == 404
    assert refusal({"id": "nobody", "port": PORT}) == 404
    assert refusal([]) == 400
    assert refusal({"id": session}) == 400
    assert refusal({"id": session, "port": 0}) == 400
    assert refusal({"id": session, "port": PORT, "seconds": 1 << 40}) == 400
    with Coding(server) as short:
        gone = Visitor(server, short.id)
    assert gone.status(gone.prefix + "/") == 404


def test_an_agents_session_is_woken_by_a_visit(server: RunningServer) -> None:
    agents = Agents(server)
    agent, session = agents.deploy(), new_session()
    calls = agents.ask(agent["agentRuntimeArn"], session, do="count")["calls"]
    own = Visitor(server, session, 8080)
    paths = f"/-/v1/runtimes/{agent['agentRuntimeId']}/sessions"
    assert server.native("POST", f"{paths}/{session}/pause")["status"] == "PAUSED"
    granted = urlsplit(own.granted["url"])
    with own.open(
        "POST", "/invocations", {**own.bearer, "Host": granted.netloc}, b'{"do": "count"}'
    ) as answer:
        assert json.loads(answer.read())["calls"] == calls + 1
    assert server.native("GET", paths)["sessions"][0]["status"] == "READY"


def test_a_sandbox_is_reached_and_woken_too(server: RunningServer) -> None:
    lodging = Lodging(server)
    id_ = lodging.create(timeoutSeconds=600)
    own = Visitor(server, id_, 9000)
    assert own.status(own.prefix + "/") == 502
    lodging.change(id_, "pause")
    assert own.status(own.prefix + "/") == 502
    assert lodging.state(id_) == "RUNNING"
    lodging.kill(id_)
    assert own.status(own.prefix + "/") == 404


def test_the_command_line_gives_a_link_and_the_log_no_token(visitor: Visitor, server: RunningServer) -> None:
    command = [sys.executable, "-m", "innkeeper", "url", visitor.granted["id"], str(PORT)]
    run = subprocess.run(
        [*command, "--data-dir", str(server.data_dir)], check=True, capture_output=True, text=True
    )
    link = urlsplit(run.stdout.strip())
    assert visitor.status(f"/?{link.query}", {"Host": link.netloc}) == 200
    assert link.query not in server.log.read_text()
    assert visitor.token not in server.log.read_text()
