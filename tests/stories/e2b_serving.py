"""What the stories of E2B's SDKs need of a server."""

import time
from collections.abc import Callable
from typing import Any

from e2b_code_interpreter import Sandbox

from tests.running import RunningServer

SETTLE_SECONDS = 60.0


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
