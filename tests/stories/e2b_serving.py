"""What the stories of E2B's SDKs need of a server."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from e2b_code_interpreter import Sandbox

from tests.running import RunningServer

SETTLE_SECONDS = 60.0


@contextlib.contextmanager
def serving(folder: Path, settings: Mapping[str, str]) -> Iterator[RunningServer]:
    """A running server, and an environment that leads the SDKs to it."""
    running = RunningServer(folder, settings).start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("E2B_API_KEY", api_key(running, running.keys))
            patch.setenv("E2B_API_URL", f"{running.url}/-/e2b")
            patch.setenv("E2B_SANDBOX_URL", f"{running.url}/-/e2b/sandbox")
            yield running
    finally:
        running.stop()


def api_key(server: RunningServer, keys: tuple[str, str]) -> str:
    return str(server.native("GET", f"/-/v1/keys/{keys[0]}/e2b", keys=keys)["apiKey"])


def has_memory(sandbox: Sandbox) -> bool:
    """Whether copies of it keep what is in memory: where gVisor runs it, whose Linux is always the same."""
    return bool(sandbox.commands.run("uname -r").stdout.startswith("4.4.0"))


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
