"""Sessions whose Python is a fork of one that has everything loaded: where memory is not snapshotted."""

import time

import pytest

from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding

PATIENCE_SECONDS = 60.0
_ORIGIN = "open('/proc/self/cmdline').read()"
_DRAWN = "import random; random.random()"


@pytest.fixture
def hatched(coding: Coding, server: RunningServer) -> Coding:
    """The session begins anew until it is one of those; which it is, is nothing that a user would see."""
    if server.settings["sandbox_driver"] != "bubblewrap":
        pytest.skip("this driver has snapshots")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "warm_kernel" not in coding.out(_ORIGIN):
        assert time.monotonic() < deadline
        coding.stop()
        coding.start()
    return coding


def test_a_forked_session_is_like_any_other(hatched: Coding, server: RunningServer) -> None:
    hatched.out("x = 1")
    drawn = {hatched.out(_DRAWN)}
    with Coding(server) as other:
        assert other.run("x")["isError"]
        drawn.add(other.out(_DRAWN))
    assert hatched.out("__name__, __import__('os').getcwd()") == "('__main__', '/home/agent')\n"
    assert "killed by SIGKILL" in hatched.fails("import os; os.kill(os.getpid(), 9)")
    assert hatched.run("x")["isError"]
    drawn.add(hatched.out(_DRAWN))
    assert len(drawn) == 3
    assert "warm_kernel" in hatched.out(_ORIGIN)
