"""Sessions and custom interpreters: started, listed, ended, kept apart."""

import json
import socket
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import Agents, RunningServer
from tests.services.code_interpreter.coding import SYSTEM, Coding
from tests.services.code_interpreter.conftest import SETTINGS


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    """The code and message of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def custom(control: Any, mode: str = "SANDBOX", **members: Any) -> dict[str, Any]:
    """A new custom interpreter, as GetCodeInterpreter gives it."""
    made = control.create_code_interpreter(
        name=f"own_{uuid.uuid4().hex[:8]}", networkConfiguration={"networkMode": mode}, **members
    )
    found: dict[str, Any] = control.get_code_interpreter(codeInterpreterId=made["codeInterpreterId"])
    return found


@pytest.fixture
def control(server: RunningServer) -> Any:
    return server.client("bedrock-agentcore-control")


def test_a_session_is_ready_until_it_is_stopped(server: RunningServer) -> None:
    with Coding(server, name="mine", sessionTimeoutSeconds=1200) as coding:
        found = coding.data.get_code_interpreter_session(**coding.names)
        assert (found["name"], found["status"]) == ("mine", "READY")
        assert found["sessionTimeoutSeconds"] == 1200
        assert found["codeInterpreterIdentifier"] == SYSTEM
    assert coding.status() == "TERMINATED"
    coding.stop()
    code, message = refused(coding.invoke, tool="listFiles")
    assert code == "ResourceNotFoundException"
    assert "it was stopped" in message


def test_a_session_lasts_a_quarter_of_an_hour_unless_told_otherwise_and_eight_hours_at_most(
    server: RunningServer,
) -> None:
    def seconds(coding: Coding) -> int:
        return int(coding.data.get_code_interpreter_session(**coding.names)["sessionTimeoutSeconds"])

    with Coding(server) as usual, Coding(server, sessionTimeoutSeconds=28_800) as longest:
        assert (seconds(usual), seconds(longest)) == (900, 28_800)
        too_long = {"codeInterpreterIdentifier": SYSTEM, "sessionTimeoutSeconds": 28_801}
        assert refused(usual.data.start_code_interpreter_session, **too_long)[0] == "ValidationException"


def test_a_session_ends_when_its_time_is_over_busy_or_not(server: RunningServer) -> None:
    coding = Coding(server, sessionTimeoutSeconds=2)
    result = coding.run("import time; time.sleep(4)")
    assert result["isError"]
    deadline = time.monotonic() + 60
    while coding.status() == "READY":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "its time of 2 s was over" in refused(coding.invoke, tool="listFiles")[1]


def test_the_same_client_token_starts_one_session(server: RunningServer) -> None:
    token = f"token-{uuid.uuid4()}"
    with Coding(server, clientToken=token) as coding:
        assert Coding(server, clientToken=token).id == coding.id
        other = {"codeInterpreterIdentifier": SYSTEM, "clientToken": token, "name": "another"}
        assert refused(coding.data.start_code_interpreter_session, **other)[0] == "ValidationException"


def test_sessions_are_listed_by_status_in_pages(server: RunningServer, control: Any) -> None:
    interpreter = custom(control)["codeInterpreterId"]
    sessions = [Coding(server, interpreter) for _ in range(3)]
    sessions[0].stop()

    def listed(**filters: Any) -> list[str]:
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = sessions[0].data.list_code_interpreter_sessions(
                codeInterpreterIdentifier=interpreter, maxResults=1, **token, **filters
            )
            found += [item["sessionId"] for item in page["items"]]
            if not page.get("nextToken"):
                return found
            token = {"nextToken": page["nextToken"]}

    first, second, third = (session.id for session in sessions)
    assert listed() == [third, second, first]
    assert listed(status="READY") == [third, second]
    assert listed(status="TERMINATED") == [first]
    control.delete_code_interpreter(codeInterpreterId=interpreter)


def test_too_many_sessions_are_refused(server: RunningServer) -> None:
    most = int(SETTINGS["code_interpreter_max_sessions"])
    held: list[Coding] = []
    with pytest.raises(ClientError) as caught:
        while len(held) <= most:
            held.append(Coding(server))
    assert caught.value.response["Error"]["Code"] == "ServiceQuotaExceededException"
    assert str(most) in caught.value.response["Error"]["Message"]
    for coding in held:
        coding.stop()


def test_a_custom_interpreter_is_made_listed_and_deleted(server: RunningServer, control: Any) -> None:
    role = Agents(server).role
    made = custom(control, description="ours", executionRoleArn=role, tags={"team": "blue"})
    id_, arn = made["codeInterpreterId"], made["codeInterpreterArn"]
    assert arn.endswith(f":code-interpreter-custom/{id_}")
    assert (made["description"], made["executionRoleArn"], made["status"]) == ("ours", role, "READY")
    assert made["networkConfiguration"] == {"networkMode": "SANDBOX"}
    assert control.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "blue"}
    coding = Coding(server, id_)
    assert coding.out("1 + 1") == "2\n"
    control.delete_code_interpreter(codeInterpreterId=id_)
    unknown = "ResourceNotFoundException"
    assert refused(control.get_code_interpreter, codeInterpreterId=id_)[0] == unknown
    assert refused(coding.invoke, tool="listFiles")[0] == unknown
    assert refused(control.list_tags_for_resource, resourceArn=arn)[0] == unknown


def test_tags_make_the_sessions_of_an_interpreter_smaller(server: RunningServer, control: Any) -> None:
    tags = {"innkeeper:memory-mib": "192", "innkeeper:cpu-cores": "0.5"}
    with Coding(server, custom(control, tags=tags)["codeInterpreterId"]) as coding:
        assert coding.out("1 + 1") == "2\n"
        assert coding.run("data = b'x' * (600 << 20)")["isError"]


def test_interpreters_are_listed_by_type_in_pages(control: Any) -> None:
    made = {custom(control)["codeInterpreterId"] for _ in range(2)}

    def listed(**filters: Any) -> list[str]:
        pages = control.get_paginator("list_code_interpreters").paginate(
            PaginationConfig={"PageSize": 1}, **filters
        )
        return [one["codeInterpreterId"] for page in pages for one in page["codeInterpreterSummaries"]]

    assert listed(type="SYSTEM") == [SYSTEM]
    assert made <= set(listed(type="CUSTOM"))
    assert SYSTEM not in listed(type="CUSTOM")
    assert listed() == [SYSTEM, *listed(type="CUSTOM")]


def test_the_systems_interpreter_stays(control: Any) -> None:
    found = control.get_code_interpreter(codeInterpreterId=SYSTEM)
    assert found["codeInterpreterArn"].endswith(f":aws:code-interpreter/{SYSTEM}")
    assert found["networkConfiguration"] == {"networkMode": "PUBLIC"}
    code, _ = refused(control.delete_code_interpreter, codeInterpreterId=SYSTEM)
    assert code == "AccessDeniedException"


def test_the_same_client_token_makes_one_interpreter(control: Any) -> None:
    request = {
        "name": f"own_{uuid.uuid4().hex[:8]}",
        "networkConfiguration": {"networkMode": "SANDBOX"},
        "clientToken": f"token-{uuid.uuid4()}",
    }
    first = control.create_code_interpreter(**request)
    assert control.create_code_interpreter(**request)["codeInterpreterId"] == first["codeInterpreterId"]
    again = {**request, "clientToken": f"token-{uuid.uuid4()}"}
    assert refused(control.create_code_interpreter, **again)[0] == "ConflictException"


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (
            {
                "networkConfiguration": {
                    "networkMode": "VPC",
                    "vpcConfig": {"securityGroups": ["sg-12345678"], "subnets": ["subnet-12345678"]},
                }
            },
            "networkMode",
        ),
        ({"executionRoleArn": "arn:aws:iam::000000000000:role/Nobody"}, "role"),
        ({"tags": {"innkeeper:memory-mib": "1"}}, "innkeeper:memory-mib"),
        ({"tags": {"innkeeper:cpu-cores": "many"}}, "innkeeper:cpu-cores"),
    ],
)
def test_what_is_not_supported_is_named(control: Any, members: dict[str, Any], says: str) -> None:
    request = {"name": "never_made", "networkConfiguration": {"networkMode": "PUBLIC"}, **members}
    code, message = refused(control.create_code_interpreter, **request)
    assert code == "ValidationException"
    assert says in message


def test_a_sandboxed_interpreter_has_no_network(server: RunningServer, control: Any) -> None:
    listener = socket.create_server(("0.0.0.0", 0))
    interpreter = custom(control)["codeInterpreterId"]
    with listener, Coding(server, interpreter) as coding:
        reach = f"import socket; socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}), 2)"
        assert "ConnectionRefusedError" in coding.fails(reach)
        interfaces = coding.out("import socket; [name for _, name in socket.if_nameindex()]")
        assert interfaces == "['lo']\n"


def test_another_tenant_sees_nothing(server: RunningServer, control: Any) -> None:
    keys = server.new_tenant()
    stranger = server.client("bedrock-agentcore", keys)
    stranger_control = server.client("bedrock-agentcore-control", keys)
    interpreter = custom(control)
    id_, unknown = interpreter["codeInterpreterId"], "ResourceNotFoundException"
    with Coding(server) as coding, Coding(server, id_) as own:
        assert refused(stranger.get_code_interpreter_session, **coding.names)[0] == unknown
        assert refused(stranger.stop_code_interpreter_session, **coding.names)[0] == unknown
        call = {"name": "listFiles", "arguments": {}}
        for names in (coding.names, own.names):
            assert refused(stranger.invoke_code_interpreter, **names, **call)[0] == unknown
        listed = stranger.list_code_interpreter_sessions(codeInterpreterIdentifier=SYSTEM)
        assert listed["items"] == []
        start = {"codeInterpreterIdentifier": id_}
        assert refused(stranger.start_code_interpreter_session, **start)[0] == unknown
    assert refused(stranger_control.get_code_interpreter, codeInterpreterId=id_)[0] == unknown
    assert refused(stranger_control.delete_code_interpreter, codeInterpreterId=id_)[0] == unknown


def test_the_policy_of_an_interpreter_is_asked(server: RunningServer, control: Any) -> None:
    interpreter = custom(control)
    arn = interpreter["codeInterpreterArn"]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "bedrock-agentcore:InvokeCodeInterpreter",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with Coding(server, interpreter["codeInterpreterId"]) as coding:
        coding.invoke("listFiles")
        control.put_resource_policy(resourceArn=arn, policy=policy)
        code, message = refused(coding.invoke, tool="listFiles")
    assert code == "AccessDeniedException"
    assert arn in message


def test_an_invocation_names_its_session(server: RunningServer) -> None:
    data = server.client("bedrock-agentcore")
    code, message = refused(
        data.invoke_code_interpreter, codeInterpreterIdentifier=SYSTEM, name="listFiles", arguments={}
    )
    assert code == "ValidationException"
    assert "StartCodeInterpreterSession" in message


def test_sessions_end_with_the_server(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, SETTINGS).start()
    try:
        coding = Coding(server)
        assert coding.out("1 + 1") == "2\n"
        server.kill()
        server.start()
        data = server.client("bedrock-agentcore")
        assert data.get_code_interpreter_session(**coding.names)["status"] == "TERMINATED"
        with Coding(server) as afresh:
            assert afresh.out("2 + 2") == "4\n"
    finally:
        server.stop()


def test_untrusted_code_needs_the_operators_word(tmp_path: Path) -> None:
    settings = {**SETTINGS, "sandbox_driver": "bubblewrap", "untrusted_code_in_namespaces": "false"}
    server = RunningServer(tmp_path, settings).start()
    try:
        data = server.client("bedrock-agentcore")
        code, message = refused(data.start_code_interpreter_session, codeInterpreterIdentifier=SYSTEM)
        assert code == "ValidationException"
        assert "install gVisor" in message
        assert "INNKEEPER_UNTRUSTED_CODE_IN_NAMESPACES" in message
    finally:
        server.stop()
