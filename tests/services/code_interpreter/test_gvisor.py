"""The code interpreter in sandboxes with a kernel of their own: no word of the operator is needed."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.gvisor.driver import missing
from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding
from tests.services.code_interpreter.conftest import SETTINGS
from tests.services.code_interpreter.trusting import located, stored, visit
from tests.stories.tls_front import Certificates

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "it can be used here")

GVISOR = {
    **SETTINGS,
    "sandbox_driver": "gvisor",
    "untrusted_code_in_namespaces": "false",
    "code_interpreter_imports": '["decimal", "random", "ssl"]',
    "code_interpreter_pool_count": "2",
}
PATIENCE_SECONDS = 60.0
DAMAGED = b"damaged"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("gvisor"), GVISOR).start()
    yield running
    running.stop()
    assert list((running.data_dir / "sandboxes").rglob("code-*.json")) == []


def golden(server: RunningServer) -> list[Path]:
    """The folders of whole golden snapshots."""
    return [
        path.parent
        for path in server.data_dir.glob("code-interpreter/golden/*/process")
        if not path.parent.name.startswith("draft-")
    ]


def images(server: RunningServer) -> list[Path]:
    return [path for folder in golden(server) for path in folder.glob("image/pages.img")]


def anew(server: RunningServer) -> bool:
    """Whether one that was damaged has been made again; they are put in place and removed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return any(image.stat().st_size > len(DAMAGED) for image in images(server))
    return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_day_in_a_session(server: RunningServer) -> None:
    with Coding(server) as coding:
        assert coding.out("x = 20\nx + 1") == "21\n"
        assert "ZeroDivisionError" in coding.fails("1 / 0")
        assert coding.out("x") == "20\n"
        coding.invoke("writeFiles", content=[{"path": "in.txt", "text": "by hand"}])
        said = coding.invoke("executeCommand", command="cat in.txt; echo for all > out.txt; dmesg | head -1")
        assert said["structuredContent"]["stdout"].startswith("by hand")
        read = coding.invoke("readFiles", paths=["out.txt"])
        assert read["content"][0]["resource"]["text"] == "for all\n"
        assert "timed out" in coding.fails("while True: pass")
        assert coding.out("x") == "20\n"
        assert "killed by SIGKILL" in coding.fails("import os; os.kill(os.getpid(), 9)")
        assert coding.out("2 + 2") == "4\n"
        task = coding.invoke("startCommandExecution", command="sleep 1000")["structuredContent"]["taskId"]
        coding.invoke("stopTask", taskId=task)
        assert coding.invoke("getTask", taskId=task)["structuredContent"]["taskStatus"] == "canceled"
        with Coding(server) as other:
            assert other.out("'x' in globals()") == "False\n"
            assert other.out("[1, 2].map(x => 2 * x)", language="javascript") == "[ 2, 4 ]\n"


def test_sessions_go_on_from_one_snapshot_for_each_network_and_apart(server: RunningServer) -> None:
    control = server.client("bedrock-agentcore-control")
    own = [
        control.create_code_interpreter(
            name=f"own_{uuid.uuid4().hex[:8]}", networkConfiguration={"networkMode": mode}
        )["codeInterpreterId"]
        for mode in ("PUBLIC", "SANDBOX")
    ]
    for interpreter in own:
        Coding(server, interpreter).stop()
    until(lambda: len(golden(server)) == 2)
    for interpreter in own:
        _go_on_apart(server, interpreter)
    for image in images(server):
        image.write_bytes(DAMAGED)
    with Coding(server, interpreter) as another, Coding(server, interpreter) as afresh:
        assert another.out("1 + 1") == afresh.out("1 + 1") == "2\n"
    until(lambda: anew(server))


def test_a_ready_sandbox_takes_certificates(server: RunningServer, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path, "localhost")
    arn = stored(server, "tls/root", certificates.authority.read_bytes())
    with Coding(server, certificates=located(arn)) as coding:
        assert visit(coding, certificates) == {"Python": True, "curl": True, "Node.js": True}


def _go_on_apart(server: RunningServer, interpreter: str) -> None:
    with Coding(server, interpreter) as ready, Coding(server, interpreter) as copied:
        loaded = "import sys; 'decimal' in sys.modules"
        assert ready.out(loaded) == copied.out(loaded) == "True\n"
        for draw in ("random.random()", "ssl.RAND_bytes(16)", "uuid.uuid4()", "os.urandom(16)"):
            drawn = f"import os, random, ssl, uuid; {draw}"
            assert ready.out(drawn) != copied.out(drawn), draw
        assert "<cell 6>" in copied.fails("1 / 0")
        copied.invoke("writeFiles", content=[{"path": "mine.txt", "text": "secret"}])
        assert ready.invoke("listFiles")["content"] == []
        assert ready.run("x = 1", clearContext=True)["isError"] is False
