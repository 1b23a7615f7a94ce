"""A day of an agent behind the stronger wall, as the server has it by itself where gVisor can be used."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from innkeeper.engines.sandbox.gvisor.driver import missing
from tests.running import Agents, RunningServer, new_session
from tests.stories.processes import all_gone, below, naming, until

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "gvisor can be used here"),
    pytest.mark.timeout(300),
]

STORAGE = [{"sessionStorage": {"mountPath": "/mnt/data"}}]
KEPT = "/mnt/data/kept"
GONE_SECONDS = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("gvisor"), {"sandbox_driver": "auto"}).start()
    yield running
    running.stop()
    assert until(lambda: naming(running.data_dir) == [], GONE_SECONDS)


@pytest.fixture(scope="module")
def agents(server: RunningServer) -> Agents:
    return Agents(server)


@pytest.fixture(scope="module")
def agent(agents: Agents) -> dict[str, Any]:
    return agents.deploy(filesystemConfigurations=STORAGE)


def test_an_agent_answers_streams_runs_commands_and_sleeps(agents: Agents, agent: dict[str, Any]) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    assert agents.ask(arn, session, do="count")["calls"] == 1
    streamed = agents.data.invoke_agent_runtime(
        agentRuntimeArn=arn, runtimeSessionId=session, payload=b'{"do": "stream", "count": 3}'
    )
    assert streamed["response"].read().count(b"data: ") == 3
    answer = agents.data.invoke_agent_runtime_command(
        agentRuntimeArn=arn, runtimeSessionId=session, body={"command": "uname -r; exit 3"}
    )
    chunks = [event["chunk"] for event in answer["stream"]]
    kernel = "".join(chunk.get("contentDelta", {}).get("stdout", "") for chunk in chunks).strip()
    assert kernel not in ("", os.uname().release)
    assert chunks[-1]["contentStop"]["exitCode"] == 3
    assert "error" in agents.ask(arn, session, do="fetch", url="http://169.254.169.254/latest/meta-data")
    path = f"/-/v1/runtimes/{agent['agentRuntimeId']}/sessions/{quote(session, safe='')}/pause"
    assert agents.server.native("POST", path)["status"] == "PAUSED"
    assert agents.ask(arn, session, do="count")["calls"] == 4


def test_storage_outlasts_a_session_and_a_killed_server(agents: Agents, agent: dict[str, Any]) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    agents.ask(arn, session, do="write", path=KEPT, text="first")
    agents.data.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=session)
    assert agents.ask(arn, session, do="read", path=KEPT)["text"] == "first"
    agents.ask(arn, session, do="write", path=KEPT, text="second")
    server = agents.server
    assert server.process
    started = below(server.process.pid)
    assert any("runsc" in process.command for process in started)

    server.kill()
    server.start()

    assert all_gone(started, GONE_SECONDS) == []
    assert list(Path(server.data_dir / "sandboxes/gvisor/bundles").glob("*")) == []
    assert Agents(server).ask(arn, session, do="read", path=KEPT)["text"] == "second"
