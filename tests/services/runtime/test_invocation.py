"""Calling agents: affinity, isolation, streams, and an agent's failures."""

import json
import threading
import time
import uuid
from typing import Any

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError, HTTPClientError

from tests.running import Agents, RunningServer, behaving, new_session
from tests.stories.processes import until


def failure(agents: Agents, arn: str, session: str, **order: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        agents.ask(arn, session, **order)
    return caught.value


def test_a_session_keeps_its_state_and_no_other_sees_it(agents: Agents, agent: dict[str, Any]) -> None:
    arn, first, second = agent["agentRuntimeArn"], new_session(), new_session()
    assert agents.ask(arn, first, do="count")["calls"] == 1
    assert agents.ask(arn, first, do="count")["calls"] == 2
    assert agents.ask(arn, second, do="count")["calls"] == 1
    agents.ask(arn, first, do="write", path="/tmp/note", text="mine")
    assert agents.ask(arn, second, do="read", path="/tmp/note") == {"text": None}


def test_without_a_session_id_one_is_made(agents: Agents, agent: dict[str, Any]) -> None:
    answer = agents.data.invoke_agent_runtime(agentRuntimeArn=agent["agentRuntimeArn"], payload=b"{}")
    assert len(answer["runtimeSessionId"]) >= 33
    assert answer["statusCode"] == 200


def test_a_stream_arrives_while_the_agent_still_speaks(agents: Agents, agent: dict[str, Any]) -> None:
    order = json.dumps({"do": "stream", "count": 5, "pause": 0.2}).encode()
    answer = agents.data.invoke_agent_runtime(
        agentRuntimeArn=agent["agentRuntimeArn"], runtimeSessionId=new_session(), payload=order
    )
    assert answer["contentType"].startswith("text/event-stream")
    events = [
        (time.time(), json.loads(line[6:]))
        for line in answer["response"].iter_lines(chunk_size=1)
        if line.startswith(b"data: ")
    ]
    assert [event["number"] for _, event in events] == [0, 1, 2, 3, 4]
    first_received, last_produced = events[0][0], events[-1][1]["at"]
    assert first_received < last_produced


def test_the_agent_gets_what_the_contract_promises(agents: Agents, agent: dict[str, Any]) -> None:
    session = new_session()
    order = b'{"do": "headers"}'
    answer = agents.data.invoke_agent_runtime(
        agentRuntimeArn=agent["agentRuntimeArn"],
        runtimeSessionId=session,
        runtimeUserId="alice",
        traceParent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        baggage="team=blue",
        payload=order,
    )
    headers = json.loads(answer["response"].read())
    assert headers["x-amzn-bedrock-agentcore-runtime-session-id"] == session
    assert headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert headers["baggage"] == "team=blue"
    assert headers["workloadaccesstoken"] == headers["x-amz-bedrock-agentcore-identity-wat"]
    assert "authorization" not in headers
    assert not any(name.startswith("x-amz-date") for name in headers)
    environment = agents.ask(agent["agentRuntimeArn"], session, do="environment")
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environment["AWS_REGION"] == "us-west-2"
    assert agent["agentRuntimeArn"] in environment["OTEL_RESOURCE_ATTRIBUTES"]


def test_an_allow_list_lets_a_header_through(agents: Agents) -> None:
    runtime = agents.deploy(requestHeaderConfiguration={"requestHeaderAllowlist": ["X-Flavour", "Cookie"]})
    client = agents.server.client("bedrock-agentcore")

    def add(request: Any, **_: Any) -> None:
        for name in ("X-Flavour", "X-Other", "Cookie", "X-Amzn-Bedrock-AgentCore-Runtime-Custom-Mood"):
            request.headers[name] = "sweet"

    client.meta.events.register("before-sign.bedrock-agentcore.InvokeAgentRuntime", add)
    answer = client.invoke_agent_runtime(
        agentRuntimeArn=runtime["agentRuntimeArn"],
        runtimeSessionId=new_session(),
        payload=b'{"do": "headers"}',
    )
    headers = json.loads(answer["response"].read())
    assert headers["x-flavour"] == "sweet"
    assert headers["x-amzn-bedrock-agentcore-runtime-custom-mood"] == "sweet"
    assert "x-other" not in headers
    assert "cookie" not in headers


def test_the_agents_own_calls_come_back_to_this_server_with_its_role(
    agents: Agents, agent: dict[str, Any]
) -> None:
    environment = agents.ask(agent["agentRuntimeArn"], new_session(), do="environment")
    answer = agents.ask(
        agent["agentRuntimeArn"], new_session(), do="fetch", url=environment["AWS_ENDPOINT_URL"] + "/-/health"
    )
    assert answer == {"status": 200}
    native = AWSRequest("GET", environment["AWS_ENDPOINT_URL"] + "/-/v1/sandboxes")
    SigV4QueryAuth(Credentials(*agents.server.keys), "bedrock-agentcore", "us-west-2").add_auth(native)
    answer = agents.ask(agent["agentRuntimeArn"], new_session(), do="send", url=native.url)
    assert answer["status"] == 404  # which a root key's signature would open elsewhere
    client = agents.server.client(
        "sts", (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    )
    with pytest.raises(ClientError):  # the token is missing
        client.get_caller_identity()


@pytest.mark.parametrize("order", ["fail", "garbage", "close", "exit", "hang"])
def test_an_agents_failure_is_424_once_and_harms_no_other(
    server: RunningServer, agents: Agents, agent: dict[str, Any], order: str
) -> None:
    arn, healthy, failing = agent["agentRuntimeArn"], new_session(), new_session()
    assert agents.ask(arn, healthy, do="count")["calls"] == 1
    agents.ask(arn, failing, do="count")
    retrying = server.client("bedrock-agentcore", retries={"total_max_attempts": 3})
    with pytest.raises(ClientError) as caught:
        retrying.invoke_agent_runtime(
            agentRuntimeArn=arn, runtimeSessionId=failing, payload=json.dumps({"do": order}).encode()
        )
    response = caught.value.response
    assert response["Error"]["Code"] == "RuntimeClientError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert "traceback" not in response["Error"]["Message"]
    assert agents.ask(arn, healthy, do="count")["calls"] == 2
    if order not in ("exit", "hang"):
        assert agents.ask(arn, failing, do="count")["calls"] == 3


def test_a_session_whose_agent_exited_starts_afresh_under_its_id(
    agents: Agents, agent: dict[str, Any]
) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    agents.ask(arn, session, do="count")
    failure(agents, arn, session, do="exit")
    deadline = time.monotonic() + 60
    while True:
        try:
            assert agents.ask(arn, session, do="count")["calls"] == 1
            return
        except ClientError as error:
            assert error.response["Error"]["Code"] == "RetryableConflictException"
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_cut_stream_ends_unfinished(agents: Agents, agent: dict[str, Any]) -> None:
    answer = agents.data.invoke_agent_runtime(
        agentRuntimeArn=agent["agentRuntimeArn"], runtimeSessionId=new_session(), payload=b'{"do": "cut"}'
    )
    with pytest.raises((HTTPClientError, EventStreamError, Exception)) as caught:
        answer["response"].read()
    assert type(caught.value).__name__ in ("ResponseStreamingError", "IncompleteReadError", "ProtocolError")


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)  # it takes all its time
def test_an_agent_that_never_listens_is_told_as_such(agents: Agents) -> None:
    runtime = agents.deploy({"main.py": "import time; time.sleep(1000)"})
    error = failure(agents, runtime["agentRuntimeArn"], new_session(), do="echo")
    assert error.response["Error"]["Code"] == "RuntimeClientError"
    assert "initialization time exceeded" in error.response["Error"]["Message"]


def test_an_agent_that_dies_at_its_start_says_why_in_its_log(server: RunningServer, agents: Agents) -> None:
    runtime = agents.deploy({"main.py": "raise SystemExit('the cellar is flooded')"})
    session = new_session()
    error = failure(agents, runtime["agentRuntimeArn"], session, do="echo")
    assert error.response["Error"]["Code"] == "RuntimeClientError"
    assert "innkeeper logs" in error.response["Error"]["Message"]
    path = f"/-/v1/runtimes/{runtime['agentRuntimeId']}/sessions/{session}/logs"
    assert "the cellar is flooded" in server.native("GET", path)


def test_a_payload_past_the_limit_is_refused(agents: Agents, agent: dict[str, Any]) -> None:
    with pytest.raises((ClientError, HTTPClientError)) as caught:
        agents.data.invoke_agent_runtime(
            agentRuntimeArn=agent["agentRuntimeArn"],
            runtimeSessionId=new_session(),
            payload=b"x" * 100_000_001,
        )
    if isinstance(caught.value, ClientError):
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 413)


def test_a_large_payload_arrives_whole(agents: Agents, agent: dict[str, Any]) -> None:
    answer = agents.data.invoke_agent_runtime(
        agentRuntimeArn=agent["agentRuntimeArn"], runtimeSessionId=new_session(), payload=b"x" * 20_000_000
    )
    assert json.loads(answer["response"].read()) == {"size": 20_000_000}


def test_stop_ends_a_session_and_its_open_stream(agents: Agents, agent: dict[str, Any]) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    order = json.dumps({"do": "stream", "count": 1000, "pause": 0.1}).encode()
    stream = agents.data.invoke_agent_runtime(agentRuntimeArn=arn, runtimeSessionId=session, payload=order)[
        "response"
    ]
    agents.data.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=session)
    with pytest.raises(Exception, match=r".+"):
        stream.read()
    with pytest.raises(ClientError) as caught:
        agents.data.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=session)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert agents.ask(arn, session, do="count")["calls"] == 1


def test_a_second_call_while_a_session_starts_is_told_to_come_back(agents: Agents) -> None:
    runtime = agents.deploy({"main.py": "import time; time.sleep(3)\n" + behaving()})
    arn, session = runtime["agentRuntimeArn"], new_session()
    first = threading.Thread(target=agents.ask, args=(arn, session), kwargs={"do": "count"})
    first.start()
    path = f"/-/v1/runtimes/{runtime['agentRuntimeId']}/sessions"
    assert until(lambda: bool(agents.server.native("GET", path)["sessions"]), 60)
    error = failure(agents, arn, session, do="count")
    first.join()
    assert error.response["Error"]["Code"] == "RetryableConflictException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert agents.ask(arn, session, do="count")["calls"] == 2


def test_session_storage_survives_a_stop_and_is_the_sessions_own(agents: Agents) -> None:
    storage = [{"sessionStorage": {"mountPath": "/mnt/data"}}]
    runtime = agents.deploy(filesystemConfigurations=storage)
    arn, session = runtime["agentRuntimeArn"], new_session()
    agents.ask(arn, session, do="write", path="/mnt/data/kept", text="still here")
    agents.data.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=session)
    assert agents.ask(arn, session, do="read", path="/mnt/data/kept") == {"text": "still here"}
    assert agents.ask(arn, new_session(), do="read", path="/mnt/data/kept") == {"text": None}
    agents.control.update_agent_runtime(
        agentRuntimeId=runtime["agentRuntimeId"],
        **agents.configuration(filesystemConfigurations=storage),
    )
    agents.settled(runtime["agentRuntimeId"])
    agents.data.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=session)
    assert agents.ask(arn, session, do="read", path="/mnt/data/kept") == {"text": None}


def test_logs_are_kept_readable_and_bounded(server: RunningServer, agents: Agents) -> None:
    runtime = agents.deploy()
    arn, session = runtime["agentRuntimeArn"], new_session()
    agents.ask(arn, session, do="flood_log", size=15_000_000)
    agents.ask(arn, session, do="print", text="last words")
    path = f"/-/v1/runtimes/{runtime['agentRuntimeId']}/sessions/{session}/logs"
    assert until(lambda: server.native("GET", path).count("last words") == 2, 60)
    assert len(server.native("GET", path)) <= 10_000_000
    listed = server.native("GET", f"/-/v1/runtimes/{runtime['agentRuntimeId']}/sessions")["sessions"]
    assert [one["status"] for one in listed if one["sessionId"] == session] == ["READY"]
    assert listed[0]["cpuSeconds"] > 0


def test_an_unknown_qualifier_is_not_found(agents: Agents, agent: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        agents.data.invoke_agent_runtime(
            agentRuntimeArn=agent["agentRuntimeArn"],
            qualifier="nobody",
            runtimeSessionId=new_session(),
            payload=b"{}",
        )
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_commands_run_in_the_session_and_stream(agents: Agents, agent: dict[str, Any]) -> None:
    arn, session = agent["agentRuntimeArn"], new_session()
    agents.ask(arn, session, do="write", path="/tmp/shared", text="from the agent")

    def run(command: str, timeout: int = 10) -> tuple[str, str, dict[str, Any]]:
        answer = agents.data.invoke_agent_runtime_command(
            agentRuntimeArn=arn, runtimeSessionId=session, body={"command": command, "timeout": timeout}
        )
        chunks = [event["chunk"] for event in answer["stream"]]
        assert "contentStart" in chunks[0]
        deltas = [chunk["contentDelta"] for chunk in chunks if "contentDelta" in chunk]
        out = "".join(delta.get("stdout", "") for delta in deltas)
        err = "".join(delta.get("stderr", "") for delta in deltas)
        return out, err, chunks[-1]["contentStop"]

    assert run("cat /tmp/shared; echo oops >&2; exit 7") == (
        "from the agent",
        "oops\n",
        {"exitCode": 7, "status": "COMPLETED"},
    )
    assert run("sleep 60", timeout=1)[2]["status"] == "TIMED_OUT"
    assert run("sleep 60 & echo done")[0] == "done\n"
    token = uuid.uuid4().hex
    assert run(f"export X={token}; echo $X; pwd") == (
        f"{token}\n/var/task\n",
        "",
        {"exitCode": 0, "status": "COMPLETED"},
    )
