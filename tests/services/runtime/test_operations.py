"""Runtimes, versions and endpoints, as a boto3 user sees them."""

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import Agents, RunningServer, new_session


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    """The code and message of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_new_runtime_has_version_1_and_a_default_endpoint(agents: Agents, agent: dict[str, Any]) -> None:
    assert agent["agentRuntimeVersion"] == "1"
    assert agent["lifecycleConfiguration"] == {"idleRuntimeSessionTimeout": 900, "maxLifetime": 28800}
    endpoint = agents.control.get_agent_runtime_endpoint(
        agentRuntimeId=agent["agentRuntimeId"], endpointName="DEFAULT"
    )
    assert (endpoint["liveVersion"], endpoint["targetVersion"], endpoint["status"]) == ("1", "1", "READY")
    assert endpoint["agentRuntimeEndpointArn"] == f"{agent['agentRuntimeArn']}/runtime-endpoint/DEFAULT"


def test_default_follows_an_update_and_a_pinned_endpoint_does_not(agents: Agents) -> None:
    runtime = agents.deploy(environmentVariables={"GENERATION": "old"})
    id_, arn = runtime["agentRuntimeId"], runtime["agentRuntimeArn"]
    agents.control.create_agent_runtime_endpoint(agentRuntimeId=id_, name="pinned")
    changed = agents.configuration(environmentVariables={"GENERATION": "new"})
    assert agents.control.update_agent_runtime(agentRuntimeId=id_, **changed)["agentRuntimeVersion"] == "2"
    agents.settled(id_)

    def generation(qualifier: str) -> str:
        answer = agents.data.invoke_agent_runtime(
            agentRuntimeArn=arn,
            runtimeSessionId=new_session(),
            qualifier=qualifier,
            payload=b'{"do": "environment"}',
        )
        return str(json.loads(answer["response"].read())["GENERATION"])

    assert generation("DEFAULT") == "new"
    assert generation("pinned") == "old"
    agents.control.update_agent_runtime_endpoint(
        agentRuntimeId=id_, endpointName="pinned", agentRuntimeVersion="2"
    )
    assert generation("pinned") == "new"
    versions = agents.control.list_agent_runtime_versions(agentRuntimeId=id_)["agentRuntimes"]
    assert [version["agentRuntimeVersion"] for version in versions] == ["2", "1"]


def test_a_version_keeps_its_configuration(agents: Agents) -> None:
    runtime = agents.deploy(description="first", environmentVariables={"KEY": "one"})
    id_ = runtime["agentRuntimeId"]
    agents.control.update_agent_runtime(agentRuntimeId=id_, **agents.configuration(description="second"))
    agents.settled(id_)
    first = agents.control.get_agent_runtime(agentRuntimeId=id_, agentRuntimeVersion="1")
    assert (first["description"], first["environmentVariables"]) == ("first", {"KEY": "one"})
    assert agents.control.get_agent_runtime(agentRuntimeId=id_)["description"] == "second"


def test_the_same_client_token_makes_one_runtime(agents: Agents) -> None:
    request = agents.configuration(
        agentRuntimeName=f"once_{uuid.uuid4().hex[:8]}", clientToken=f"token-{uuid.uuid4()}"
    )
    first = agents.control.create_agent_runtime(**request)
    again = agents.control.create_agent_runtime(**request)
    assert first["agentRuntimeId"] == again["agentRuntimeId"]
    code, _ = refused(agents.control.create_agent_runtime, **{**request, "description": "other"})
    assert code == "ValidationException"
    agents.settled(first["agentRuntimeId"])


def test_a_name_is_taken_once(agents: Agents, agent: dict[str, Any]) -> None:
    request = agents.configuration(agentRuntimeName=agent["agentRuntimeName"])
    assert refused(agents.control.create_agent_runtime, **request)[0] == "ConflictException"


def test_lists_come_in_pages(agents: Agents, agent: dict[str, Any]) -> None:
    agents.deploy()
    pages = agents.control.get_paginator("list_agent_runtimes").paginate(PaginationConfig={"PageSize": 1})
    ids = [one["agentRuntimeId"] for page in pages for one in page["agentRuntimes"]]
    assert len(ids) == len(set(ids)) >= 2
    assert agent["agentRuntimeId"] in ids
    code, _ = refused(agents.control.list_agent_runtimes, nextToken="made-up")
    assert code == "ValidationException"


def test_a_deleted_runtime_is_gone_with_everything(agents: Agents) -> None:
    runtime = agents.deploy(tags={"team": "blue"})
    id_, arn = runtime["agentRuntimeId"], runtime["agentRuntimeArn"]
    assert agents.control.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "blue"}
    agents.ask(arn, new_session(), do="echo")
    assert agents.control.delete_agent_runtime(agentRuntimeId=id_)["status"] == "DELETING"
    deadline = time.monotonic() + 60
    while agents.control.list_agent_runtime_endpoints(agentRuntimeId=id_)["runtimeEndpoints"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert refused(agents.control.get_agent_runtime, agentRuntimeId=id_)[0] == "ResourceNotFoundException"
    missing = {"agentRuntimeArn": arn, "runtimeSessionId": new_session(), "payload": b"{}"}
    assert refused(agents.data.invoke_agent_runtime, **missing)[0] == "ResourceNotFoundException"


def test_code_that_cannot_run_is_told_to_its_developer(agents: Agents) -> None:
    request = agents.configuration({"other.py": ""}, agentRuntimeName=f"bad_{uuid.uuid4().hex[:8]}")
    id_ = agents.control.create_agent_runtime(**request)["agentRuntimeId"]
    failed = agents.settled(id_, "CREATE_FAILED")
    assert "main.py" in failed["failureReason"]
    assert "other.py" in failed["failureReason"]


def test_a_failed_update_leaves_default_where_it_was(agents: Agents) -> None:
    runtime = agents.deploy()
    id_ = runtime["agentRuntimeId"]
    agents.control.update_agent_runtime(agentRuntimeId=id_, **agents.configuration({"other.py": ""}))
    agents.settled(id_, "UPDATE_FAILED")
    endpoint = agents.control.get_agent_runtime_endpoint(agentRuntimeId=id_, endpointName="DEFAULT")
    assert endpoint["liveVersion"] == "1"
    assert agents.ask(runtime["agentRuntimeArn"], new_session(), do="echo", fine=True) == {"fine": True}


@pytest.mark.parametrize(
    ("member", "value", "says"),
    [
        ("agentRuntimeName", "1-starts-with-a-digit", "agentRuntimeName"),
        ("roleArn", "arn:aws:iam::000000000000:role/Nobody", "roleArn|role"),
        ("networkConfiguration", {"networkMode": "CARRIER_PIGEON"}, "networkMode"),
        ("lifecycleConfiguration", {"maxLifetime": 28_801}, "maxLifetime"),
        (
            "lifecycleConfiguration",
            {"idleRuntimeSessionTimeout": 200, "maxLifetime": 100},
            "idleRuntimeSessionTimeout",
        ),
        ("protocolConfiguration", {"serverProtocol": "GOPHER"}, "serverProtocol"),
        (
            "filesystemConfigurations",
            [{"sessionStorage": {"mountPath": "/mnt/a"}}, {"sessionStorage": {"mountPath": "/mnt/a/"}}],
            "mountPath",
        ),
    ],
)
def test_a_broken_rule_is_named(agents: Agents, member: str, value: Any, says: str) -> None:
    request = {**agents.configuration(agentRuntimeName="never_made"), member: value}
    code, message = refused(agents.control.create_agent_runtime, **request)
    assert code == "ValidationException"
    assert any(word in message for word in says.split("|")), message


def test_code_that_is_not_in_the_bucket_is_refused_at_once(agents: Agents) -> None:
    request = agents.configuration(agentRuntimeName="never_made")
    code = request["agentRuntimeArtifact"]["codeConfiguration"]["code"]
    code["s3"]["prefix"] = "not-there.zip"
    error, message = refused(agents.control.create_agent_runtime, **request)
    assert error == "ValidationException"
    assert "not-there.zip" in message


def test_default_cannot_be_pinned_or_deleted(agents: Agents, agent: dict[str, Any]) -> None:
    names = {"agentRuntimeId": agent["agentRuntimeId"], "endpointName": "DEFAULT"}
    assert refused(agents.control.delete_agent_runtime_endpoint, **names)[0] == "ConflictException"
    code, _ = refused(agents.control.update_agent_runtime_endpoint, **names, agentRuntimeVersion="9")
    assert code == "ValidationException"


def test_another_tenant_sees_nothing(server: RunningServer, agents: Agents, agent: dict[str, Any]) -> None:
    stranger = Agents(server, server.new_tenant())
    id_, arn = agent["agentRuntimeId"], agent["agentRuntimeArn"]
    assert stranger.account != agents.account
    assert stranger.control.list_agent_runtimes()["agentRuntimes"] == []
    for call, parameters in [
        (stranger.control.get_agent_runtime, {"agentRuntimeId": id_}),
        (stranger.control.delete_agent_runtime, {"agentRuntimeId": id_}),
        (stranger.control.list_tags_for_resource, {"resourceArn": arn}),
        (stranger.control.get_resource_policy, {"resourceArn": arn}),
        (
            stranger.data.invoke_agent_runtime,
            {"agentRuntimeArn": arn, "runtimeSessionId": new_session(), "payload": b"{}"},
        ),
    ]:
        code, message = refused(call, **parameters)
        assert code == "ResourceNotFoundException"
        assert agents.account not in message.replace(arn, "")
