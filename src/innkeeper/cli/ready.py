"""Waiting until what was asked for is there."""

import time
from collections.abc import Callable
from typing import Any

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.terminal import progress

Document = dict[str, Any]

TIMEOUT_SECONDS = 1200.0  # a build may take the 900 s of `build_timeout_seconds`
POLL_SECONDS = 0.25


def runtime_ready(api: Api, name: str, runtime_id: str) -> Document:
    """Wait for READY. Raises CommandFailed with the reason when it fails."""
    control = api.client("bedrock-agentcore-control")
    return _wait(name, lambda: control.get_agent_runtime(agentRuntimeId=runtime_id))


def endpoint_ready(api: Api, runtime_id: str, endpoint: str, version: str) -> Document:
    """Wait until the endpoint serves this version."""
    control = api.client("bedrock-agentcore-control")

    def read() -> Document:
        found: Document = control.get_agent_runtime_endpoint(agentRuntimeId=runtime_id, endpointName=endpoint)
        behind = found["status"] == "READY" and found.get("liveVersion") != version
        return found | {"status": "UPDATING"} if behind else found

    return _wait(f"endpoint {endpoint}", read)


def _wait(what: str, read: Callable[[], Document]) -> Document:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    status = ""
    with progress(f"{what}: waiting") as tell:
        while time.monotonic() < deadline:
            found = read()
            if found["status"] == "READY":
                return found
            if found["status"].endswith("_FAILED"):
                reason = found.get("failureReason") or "no reason was given"
                raise CommandFailed(f"{what} is {found['status']}: {reason}")
            if found["status"] != status:
                status = found["status"]
                tell(f"{what}: {status}")
            time.sleep(POLL_SECONDS)
    raise CommandFailed(f"{what} is still {status} after {TIMEOUT_SECONDS:.0f} s; see innkeeper status")
