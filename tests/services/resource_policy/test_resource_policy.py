"""A policy on a resource: put, read, overwritten, deleted, and asked on every call."""

import json
from typing import Any

import pytest

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Call
from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.errors import InvalidRequest, NotFound
from innkeeper.kernel.policies import Decision
from innkeeper.services.resource_policy import store
from innkeeper.services.resource_policy.operations import ResourcePolicyOperations
from innkeeper.services.resource_policy.service import ResourcePolicies
from tests.clock import SettableClock
from tests.services.shelf import ACCOUNT, ENDPOINT, ROOT, RUNTIME, STRANGER, UNKNOWN, owners

INVOKE = "bedrock-agentcore:InvokeAgentRuntime"


def policy(effect: str = "Allow", principal: Any = "*", action: str = INVOKE, resource: str = RUNTIME) -> str:
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def policies(database: Database, clock: SettableClock) -> ResourcePolicies:
    return ResourcePolicies(database, owners(), clock)


async def test_the_document_comes_back_as_it_went(policies: ResourcePolicies) -> None:
    operations, call = ResourcePolicyOperations(policies), Call(ROOT, "request-1", {})
    named = {"resourceArn": RUNTIME}
    assert await operations.get_resource_policy(call, named) == {}
    for text in (policy(), policy(action="bedrock-agentcore:GetAgentCard") + "\n"):
        assert await operations.put_resource_policy(call, named | {"policy": text}) == {"policy": text}
        assert await operations.get_resource_policy(call, named) == {"policy": text}
    await operations.delete_resource_policy(call, named)
    assert await operations.get_resource_policy(call, named) == {}
    with pytest.raises(NotFound):
        await operations.delete_resource_policy(call, named)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "{}",
        "[" * 20_000,
        json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}),
        policy(effect="Perhaps"),
    ],
)
async def test_an_invalid_document_is_refused_by_name(policies: ResourcePolicies, text: str) -> None:
    await policies.put(ROOT, RUNTIME, policy())
    with pytest.raises(InvalidRequest) as refused:
        await policies.put(ROOT, RUNTIME, text)
    assert refused.value.fields[0].name == "policy"
    assert await policies.get(ROOT, RUNTIME) == policy()


@pytest.mark.parametrize("arn", UNKNOWN)
async def test_an_unknown_resource_is_not_found(policies: ResourcePolicies, arn: str) -> None:
    for call in (policies.put(ROOT, arn, policy()), policies.get(ROOT, arn), policies.delete(ROOT, arn)):
        with pytest.raises(NotFound):
            await call


async def test_a_strangers_resource_looks_unknown(policies: ResourcePolicies) -> None:
    await policies.put(ROOT, RUNTIME, policy())
    for call in (policies.get(STRANGER, RUNTIME), policies.delete(STRANGER, RUNTIME)):
        with pytest.raises(NotFound):
            await call


async def test_the_policy_decides_who_may(policies: ResourcePolicies) -> None:
    assert await policies.decide(ROOT, INVOKE, RUNTIME) is Decision.NEUTRAL
    await policies.put(ROOT, RUNTIME, policy(principal={"AWS": STRANGER.principal}))
    assert await policies.decide(STRANGER, INVOKE, RUNTIME) is Decision.ALLOW
    assert await policies.decide(ROOT, INVOKE, RUNTIME) is Decision.NEUTRAL
    assert await policies.decide(STRANGER, "bedrock-agentcore:GetAgentCard", RUNTIME) is Decision.NEUTRAL
    assert await policies.decide(STRANGER, INVOKE, ENDPOINT) is Decision.NEUTRAL
    role = Caller(
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/Agent/s1",
        "us-west-2",
        CallerKind.ROLE,
        role=f"arn:aws:iam::{ACCOUNT}:role/Agent",
    )
    await policies.put(ROOT, RUNTIME, policy(effect="Deny", principal={"AWS": role.role}))
    assert await policies.decide(role, INVOKE, RUNTIME) is Decision.DENY
    bearer = Caller(ACCOUNT, "user-1", "us-west-2", CallerKind.BEARER)
    assert await policies.decide(bearer, INVOKE, RUNTIME) is Decision.NEUTRAL


async def test_a_change_counts_at_once_here_and_within_a_second_elsewhere(
    policies: ResourcePolicies, database: Database, clock: SettableClock
) -> None:
    elsewhere = ResourcePolicies(database, owners(), clock)
    for server in (policies, elsewhere):
        assert await server.decide(ROOT, INVOKE, RUNTIME) is Decision.NEUTRAL
    await policies.put(ROOT, RUNTIME, policy(effect="Deny"))
    assert await policies.decide(ROOT, INVOKE, RUNTIME) is Decision.DENY
    clock.pass_time(1)
    assert await elsewhere.decide(ROOT, INVOKE, RUNTIME) is Decision.DENY
    assert await policies.delete_all(RUNTIME)
    assert await policies.decide(ROOT, INVOKE, RUNTIME) is Decision.NEUTRAL


async def test_a_warm_decision_asks_no_database(policies: ResourcePolicies, database: Database) -> None:
    await policies.put(ROOT, RUNTIME, policy())
    for arn in (RUNTIME, ENDPOINT):
        await policies.decide(ROOT, INVOKE, arn)
    async with database.begin() as connection:
        await connection.run_sync(store.resource_policies.drop)
    assert await policies.decide(ROOT, INVOKE, RUNTIME) is Decision.ALLOW
    assert await policies.decide(ROOT, INVOKE, ENDPOINT) is Decision.NEUTRAL
