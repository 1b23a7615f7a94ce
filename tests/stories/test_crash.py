"""The server is killed, or stopped, in the middle of its work, and started again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import Agents, RunningServer, behaving, new_session
from tests.services.builder.wheels import write_wheel
from tests.stories.holdings import recorded
from tests.stories.index import PackageIndex
from tests.stories.processes import Process, all_gone, below, naming, until

GONE_SECONDS = 60.0
KEPT = "/mnt/data/kept"
STORAGE = [{"sessionStorage": {"mountPath": "/mnt/data"}}]


@pytest.fixture
def own_server(data_dir: Path) -> Iterator[RunningServer]:
    server = RunningServer(data_dir).start()
    yield server
    server.stop()


def processes_of(server: RunningServer) -> list[Process]:
    assert server.process
    return below(server.process.pid)


def ask_all(agents: Agents, arn: str, sessions: list[str], **order: Any) -> list[Any]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda session: agents.ask(arn, session, **order), sessions))


@pytest.mark.slow
def test_kill_9_with_twenty_live_sessions_loses_nothing_and_leaves_nobody(own_server: RunningServer) -> None:
    agents = Agents(own_server)
    runtime = agents.deploy(filesystemConfigurations=STORAGE)
    runtime_id, arn = runtime["agentRuntimeId"], runtime["agentRuntimeArn"]
    agents.control.create_agent_runtime_endpoint(agentRuntimeId=runtime_id, name="pinned")
    agents.control.update_agent_runtime(
        agentRuntimeId=runtime_id, **agents.configuration(filesystemConfigurations=STORAGE)
    )
    agents.settled(runtime_id)
    key = own_server.native("POST", "/-/v1/keys", {"description": "survivor"})
    sessions = [new_session() for _ in range(20)]
    for session, answer in zip(sessions, ask_all(agents, arn, sessions, do="count"), strict=True):
        assert answer["calls"] == 1
        agents.ask(arn, session, do="write", path=KEPT, text=session)
    before = state(own_server, runtime_id)
    started = processes_of(own_server)
    named = recorded(own_server)
    assert len(named) >= 20 and named <= {process.pid for process in started}
    assert any("slirp4netns" in process.command for process in started)

    own_server.kill()
    own_server.start()

    assert all_gone(started, GONE_SECONDS) == []
    assert recorded(own_server) == set()
    agents = Agents(own_server, (key["accessKeyId"], key["secretAccessKey"]))
    assert state(own_server, runtime_id) == before
    listed = own_server.native("GET", f"/-/v1/runtimes/{runtime_id}/sessions")["sessions"]
    assert {session["sessionId"] for session in listed} == set(sessions)
    assert {(one["status"], one["endReason"]) for one in listed} == {
        ("TERMINATED", "the server was restarted")
    }
    assert [answer["calls"] for answer in ask_all(agents, arn, sessions, do="count")] == [1] * 20
    assert [answer["text"] for answer in ask_all(agents, arn, sessions, do="read", path=KEPT)] == sessions


def state(server: RunningServer, runtime_id: str) -> dict[str, Any]:
    """All that was acknowledged to a user."""
    control, s3 = server.client("bedrock-agentcore-control"), server.client("s3")
    runtime = control.get_agent_runtime(agentRuntimeId=runtime_id)
    runtime.pop("ResponseMetadata")
    bucket = s3.list_buckets()["Buckets"][0]["Name"]
    return {
        "runtime": runtime,
        "versions": control.list_agent_runtime_versions(agentRuntimeId=runtime_id)["agentRuntimes"],
        "endpoints": control.list_agent_runtime_endpoints(agentRuntimeId=runtime_id)["runtimeEndpoints"],
        "keys": server.native("GET", "/-/v1/keys")["keys"],
        "objects": [(one["Key"], one["ETag"]) for one in s3.list_objects_v2(Bucket=bucket)["Contents"]],
        "roles": server.client("iam").list_roles()["Roles"],
    }


def test_a_build_that_a_crash_cut_short_is_finished_by_the_next_start(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index"
    (folder / "lantern").mkdir(parents=True)
    write_wheel(folder / "lantern", "lantern", "1.0", {"lantern.py": "LIGHT = 'on'\n"})
    files = {
        "main.py": f"import lantern\n{behaving()}",
        "requirements.txt": "lantern",
    }
    with PackageIndex(folder) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        server = RunningServer(data_dir).start()
        try:
            agents = Agents(server)
            made = agents.control.create_agent_runtime(
                agentRuntimeName="reader", **agents.configuration(files)
            )
            assert index.asked.wait(30)
            started = processes_of(server)
            assert any("uv pip install" in process.command for process in started)
            server.kill()
            assert all_gone(started, GONE_SECONDS) == []
            index.release()
            server.start()
            agents = Agents(server)
            runtime = agents.settled(made["agentRuntimeId"])
            assert agents.ask(runtime["agentRuntimeArn"], new_session(), do="count")["calls"] == 1
        finally:
            server.stop()


def test_a_stop_ends_sessions_and_streams_and_leaves_nothing(data_dir: Path) -> None:
    server = RunningServer(data_dir).start()
    agents = Agents(server)
    runtime = agents.deploy()
    arn, sessions = runtime["agentRuntimeArn"], [new_session() for _ in range(3)]
    ask_all(agents, arn, sessions, do="spawn")
    stream = agents.data.invoke_agent_runtime(
        agentRuntimeArn=arn,
        runtimeSessionId=sessions[0],
        payload=b'{"do": "stream", "count": 1000, "pause": 0.1}',
    )["response"]
    started = processes_of(server)
    assert len(recorded(server)) >= 3
    process = server.process
    assert process
    server.stop()
    assert process.returncode == 0
    assert [one for one in started if one.alive] == []
    assert until(lambda: naming(data_dir) == [], GONE_SECONDS)
    assert not (data_dir / "server.json").exists()
    assert "Traceback" not in server.log.read_text()
    with pytest.raises(Exception, match=r".+"):
        stream.read()

    server.start()
    try:
        listed = server.native("GET", f"/-/v1/runtimes/{runtime['agentRuntimeId']}/sessions")["sessions"]
        assert {one["endReason"] for one in listed} == {"the server was stopped"}
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            Agents(server).data.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=sessions[0])
    finally:
        server.stop()
