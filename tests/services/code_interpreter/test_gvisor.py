"""The code interpreter in sandboxes with a kernel of their own: no word of the operator is needed."""

from collections.abc import Iterator

import pytest

from innkeeper.engines.sandbox.gvisor.driver import missing
from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding
from tests.services.code_interpreter.conftest import SETTINGS

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "it can be used here")

GVISOR = {**SETTINGS, "sandbox_driver": "gvisor", "untrusted_code_in_namespaces": "false"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("gvisor"), GVISOR).start()
    yield running
    running.stop()
    assert list((running.data_dir / "sandboxes").rglob("code-*.json")) == []


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
