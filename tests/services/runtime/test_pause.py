"""Pausing sessions: a guest that sleeps costs nothing, and is as it was when it wakes."""

import time
import urllib.error
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from tests.running import DRIVER, Agents, RunningServer, new_session
from tests.services.runtime.inn import slowly_noted
from tests.stories.processes import until

SECONDS = 60.0


def change(agents: Agents, agent: dict[str, Any], session: str, action: str) -> Any:
    path = f"/-/v1/runtimes/{agent['agentRuntimeId']}/sessions/{quote(session, safe='')}/{action}"
    return agents.server.native("POST", path, keys=agents.keys)


def refusal(agents: Agents, agent: dict[str, Any], session: str, action: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        change(agents, agent, session, action)
    caught.value.close()
    return caught.value.code


def shown(server: RunningServer, agent: dict[str, Any], session: str) -> Any:
    listed = server.native("GET", f"/-/v1/runtimes/{agent['agentRuntimeId']}/sessions")["sessions"]
    return next(one for one in listed if one["sessionId"] == session)


def status(server: RunningServer, agent: dict[str, Any], session: str) -> str:
    return str(shown(server, agent, session)["status"])


def test_a_paused_session_uses_no_processor_and_wakes_as_it_was(
    agents: Agents, agent: dict[str, Any]
) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    before = agents.ask(arn, session, do="count")
    assert change(agents, agent, session, "pause")["status"] == "PAUSED"
    used = shown(agents.server, agent, session)
    assert used["status"] == "PAUSED"
    time.sleep(0.5)
    assert shown(agents.server, agent, session)["cpuSeconds"] == used["cpuSeconds"]
    assert change(agents, agent, session, "resume")["status"] == "READY"
    after = agents.ask(arn, session, do="count")
    assert (after["pid"], after["calls"]) == (before["pid"], before["calls"] + 1)


def test_a_call_wakes_the_session(agents: Agents, agent: dict[str, Any]) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    pid = agents.ask(arn, session, do="count")["pid"]
    for cycle in range(5):
        agents.ask(arn, session, do="write", path=f"/tmp/note-{cycle}", text=str(cycle))
        assert change(agents, agent, session, "pause")["status"] == "PAUSED"
        assert change(agents, agent, session, "pause")["status"] == "PAUSED"
        assert agents.ask(arn, session, do="read", path=f"/tmp/note-{cycle}") == {"text": str(cycle)}
        assert status(agents.server, agent, session) == "READY"
        assert change(agents, agent, session, "resume")["status"] == "READY"
    assert agents.ask(arn, session, do="count")["pid"] == pid


def test_a_command_wakes_the_session(agents: Agents, agent: dict[str, Any]) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    agents.ask(arn, session)
    change(agents, agent, session, "pause")
    answer = agents.data.invoke_agent_runtime_command(
        agentRuntimeArn=arn, runtimeSessionId=session, body={"command": "echo awake"}
    )
    assert "awake" in str(list(answer["stream"]))


def test_a_session_at_work_is_not_paused(agents: Agents, agent: dict[str, Any]) -> None:
    session = new_session()
    # More than fits into the connections: it is at work until somebody reads.
    answer = agents.data.invoke_agent_runtime(
        agentRuntimeArn=agent["agentRuntimeArn"],
        runtimeSessionId=session,
        payload=b'{"do": "stream", "count": 20, "size": 3000000}',
    )
    assert refusal(agents, agent, session, "pause") == 409
    assert answer["response"].read().count(b"data: ") == 20

    def paused() -> bool:  # that the answer has ended is heard here first
        try:
            return bool(change(agents, agent, session, "pause")["status"] == "PAUSED")
        except urllib.error.HTTPError as busy:
            with busy:
                assert busy.code == 409
            return False

    assert until(paused, SECONDS)


def test_a_paused_session_can_be_stopped(agents: Agents, agent: dict[str, Any]) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    agents.ask(arn, session)
    change(agents, agent, session, "pause")
    agents.data.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=session)
    assert shown(agents.server, agent, session)["endReason"] == "stopped by the caller"
    assert refusal(agents, agent, session, "pause") == 404
    assert refusal(agents, agent, session, "resume") == 404


def test_a_session_that_never_was_or_is_another_tenant_s_is_unknown(
    agents: Agents, agent: dict[str, Any]
) -> None:
    session = new_session()
    assert refusal(agents, agent, session, "pause") == 404
    agents.ask(agent["agentRuntimeArn"], session)
    stranger = Agents(agents.server, agents.server.new_tenant())
    assert refusal(stranger, agent, session, "pause") == 404
    assert status(agents.server, agent, session) == "READY"


@pytest.mark.skipif(DRIVER["sandbox_driver"] == "gvisor", reason="it keeps memory")
def test_where_no_memory_is_kept_a_session_is_not_hibernated_and_goes_on(
    agents: Agents, agent: dict[str, Any]
) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    agents.ask(arn, session)
    for action in ("hibernate", "fork", "snapshot"):
        assert refusal(agents, agent, session, action) == 409
        assert agents.ask(arn, session, do="echo", number=1) == {"number": 1}


def test_idle_sessions_are_paused_by_themselves(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"session_idle_pause_seconds": "0.5", "session_sweep_seconds": "0.1"}
    server = RunningServer(tmp_path_factory.mktemp("pausing"), settings).start()
    try:
        agents = Agents(server)
        agent = agents.deploy()
        arn, idle, busy = agent["agentRuntimeArn"], new_session(), new_session()
        agents.ask(arn, busy, do="status", status="HealthyBusy")
        for calls in (1, 2, 3):
            assert agents.ask(arn, idle, do="count")["calls"] == calls
            assert until(lambda: status(server, agent, idle) == "PAUSED", SECONDS)
        assert status(server, agent, busy) == "READY"
        with slowly_noted(server, "READY"):  # it is paused again before it has begun
            assert agents.ask(arn, new_session(), do="count")["calls"] == 1
    except ClientError as error:
        raise AssertionError(server.log.read_text()[-2000:]) from error
    finally:
        server.stop()
