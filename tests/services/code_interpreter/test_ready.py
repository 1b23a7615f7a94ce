"""Sessions that find their sandbox ready: made before, standing still, and theirs alone from then on."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding, frozen
from tests.services.code_interpreter.conftest import SETTINGS

READY = {
    **SETTINGS,
    "code_interpreter_prepare": "sandboxes",
    "code_interpreter_pool_count": "2",
    "code_interpreter_imports": '["decimal", "random", "nowhere.to.be.found"]',
}
PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("ready"), READY).start()
    yield running
    running.stop()
    assert list((running.data_dir / "sandboxes" / "sandboxes").glob("*")) == []


def test_sessions_take_what_was_made_ready_and_leave_nothing(server: RunningServer) -> None:
    until(lambda: len(frozen(server)) == 2)  # one with a network and one without
    ready = frozen(server)
    with Coding(server) as first:
        assert first.out("import sys; sorted({'decimal', 'random'} & set(sys.modules))") == (
            "['decimal', 'random']\n"
        )
        assert "<cell 2>" in first.fails("1 / 0")
        assert first.run("decimal")["isError"]  # loaded, but not named: that is the user's to do
        assert len(ready - frozen(server)) == 1
        until(lambda: len(frozen(server)) == 2)
        draw = "import random; random.random()"
        with Coding(server) as second:
            assert first.out(draw) != second.out(draw)
            second.invoke("writeFiles", content=[{"path": "mine.txt", "text": "secret"}])
            assert first.invoke("listFiles")["content"] == []
        with Coding(server) as third:
            assert third.invoke("listFiles")["content"] == []


def test_a_killed_server_leaves_no_ready_sandbox(server: RunningServer) -> None:
    until(lambda: len(frozen(server)) == 2)
    before = frozen(server)
    server.kill()
    server.start()
    until(lambda: len(frozen(server)) == 2)
    assert frozen(server).isdisjoint(before)
