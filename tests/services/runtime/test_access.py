"""Agents that take JWTs instead of signatures, and resource policies that open or close an agent."""

import json
from typing import Any
from urllib.parse import quote

import aiohttp
import boto3
import pytest
from botocore.exceptions import ClientError

from tests.oidc import Issuer
from tests.running import Agents, RunningServer, new_session


def invocations(server: RunningServer, arn: str) -> str:
    return f"{server.url}/runtimes/{quote(arn, safe='')}/invocations"


async def call(
    server: RunningServer, arn: str, token: str | None, order: bytes = b'{"do": "headers"}'
) -> tuple[int, Any, dict[str, str]]:
    """Status, JSON body and headers of an invocation with a bearer token."""
    headers = {"X-Amzn-Bedrock-AgentCore-Runtime-Session-Id": new_session()}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession() as http,
        http.post(invocations(server, arn), data=order, headers=headers) as answer,
    ):
        shown = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, json.loads(await answer.read()), shown


async def guarded(agents: Agents, issuer: Issuer, **rules: Any) -> str:
    """The ARN of an agent that takes tokens of this issuer."""
    rules.setdefault("allowedAudience", ["hotel"])
    authorizer = {"customJWTAuthorizer": {"discoveryUrl": issuer.discovery_url, **rules}}
    runtime = agents.deploy(
        authorizerConfiguration=authorizer,
        requestHeaderConfiguration={"requestHeaderAllowlist": ["Authorization"]},
    )
    return str(runtime["agentRuntimeArn"])


async def test_a_good_token_gets_in_and_the_agent_learns_for_whom(
    server: RunningServer, agents: Agents
) -> None:
    async with Issuer() as issuer:
        arn = await guarded(agents, issuer)
        token = issuer.token(aud="hotel")
        status, headers, _ = await call(server, arn, token)
        assert status == 200
        assert headers["authorization"] == f"Bearer {token}"
        assert headers["workloadaccesstoken"]


async def test_what_is_no_good_token_is_401_with_a_challenge(server: RunningServer, agents: Agents) -> None:
    async with Issuer() as issuer, Issuer() as stranger:
        arn = await guarded(agents, issuer)
        for token in (
            None,
            "not.a.jwt",
            issuer.token(aud="another"),
            issuer.token(aud="hotel", exp=1),
            stranger.token(aud="hotel"),
        ):
            status, body, headers = await call(server, arn, token)
            assert status == 401, body
            assert headers["www-authenticate"].startswith("Bearer")
            url = headers["www-authenticate"].split('resource_metadata="')[1].split('"')[0]
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            metadata = await answer.json()
        assert metadata["authorization_servers"] == [issuer.name]
        assert metadata["resource"] == invocations(server, arn)


async def test_each_agent_takes_only_its_own_kind_of_proof(
    server: RunningServer, agents: Agents, agent: dict[str, Any]
) -> None:
    async with Issuer() as issuer:
        arn = await guarded(agents, issuer)
        with pytest.raises(ClientError) as caught:
            agents.ask(arn, new_session(), do="echo")
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
        status, _, _ = await call(server, agent["agentRuntimeArn"], issuer.token(aud="hotel"))
        assert status == 403


async def test_nobody_learns_without_proof_which_agents_there_are(
    server: RunningServer, agent: dict[str, Any]
) -> None:
    known = await call(server, agent["agentRuntimeArn"], None)
    unknown = await call(server, agent["agentRuntimeArn"][:-10] + "0123456789", None)
    assert known[0] == unknown[0] == 403
    assert known[1] == unknown[1]


def policy(effect: str, principal: Any, arn: str) -> str:
    action = "bedrock-agentcore:InvokeAgentRuntime"
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_resource_policy_opens_an_agent_to_another_account(server: RunningServer, agents: Agents) -> None:
    arn = agents.deploy()["agentRuntimeArn"]
    guest = Agents(server, server.new_tenant())
    with pytest.raises(ClientError) as caught:
        guest.ask(arn, new_session(), do="echo")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    principal = {"AWS": f"arn:aws:iam::{guest.account}:root"}
    agents.control.put_resource_policy(resourceArn=arn, policy=policy("Allow", principal, arn))
    assert guest.ask(arn, new_session(), do="echo", welcome=True) == {"welcome": True}
    agents.control.delete_resource_policy(resourceArn=arn)
    with pytest.raises(ClientError):
        guest.ask(arn, new_session(), do="echo")


def test_a_deny_in_a_resource_policy_wins(agents: Agents) -> None:
    arn = agents.deploy()["agentRuntimeArn"]
    agents.control.put_resource_policy(resourceArn=arn, policy=policy("Deny", "*", arn))
    with pytest.raises(ClientError) as caught:
        agents.ask(arn, new_session(), do="echo")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_an_agent_may_do_no_more_than_its_role(server: RunningServer, agents: Agents) -> None:
    runtime = agents.deploy()
    environment = agents.ask(runtime["agentRuntimeArn"], new_session(), do="environment")
    session = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        environment["AWS_SESSION_TOKEN"],
        region_name="us-west-2",
    )
    identity = session.client("sts", endpoint_url=server.url).get_caller_identity()
    assert ":assumed-role/InnkeeperAgentRole/" in identity["Arn"]
    control = session.client("bedrock-agentcore-control", endpoint_url=server.url)
    with pytest.raises(ClientError) as caught:
        control.delete_agent_runtime(agentRuntimeId=runtime["agentRuntimeId"])
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    with pytest.raises(ClientError) as caught:
        session.client("s3", endpoint_url=server.url).list_objects_v2(Bucket="code-of-tests")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
