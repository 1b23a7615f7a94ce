"""What a role may do, who may take it, and how long its credentials live."""

import json
from dataclasses import replace
from typing import Any

import pytest

from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.errors import AccessDenied, InvalidRequest, NotFound
from innkeeper.services.account.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    MalformedPolicyDocument,
    NoSuchEntity,
)
from innkeeper.services.account.model import AGENT_ROLE
from innkeeper.services.account.service import Accounts
from tests.clock import SettableClock


def allow(action: str, resource: str = "*", effect: str = "Allow") -> str:
    return json.dumps({"Statement": {"Effect": effect, "Action": action, "Resource": resource}})


def trust(principal: Any, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
async def root(accounts: Accounts) -> Caller:
    key = await accounts.bootstrap()
    credential = await accounts.credential(key.access_key_id)
    assert credential is not None
    return replace(credential.caller, region="us-east-1")


@pytest.fixture
async def agent(accounts: Accounts, root: Caller) -> Caller:
    arn = f"arn:aws:iam::{root.account}:role/{AGENT_ROLE}"
    return (await accounts.role_credentials(arn, "session-1", 900)).caller


async def taker(accounts: Accounts, root: Caller, name: str = "Taker") -> Caller:
    role = await accounts.roles.create(root.account, name, trust({"AWS": root.account}))
    return (await accounts.role_credentials(role.arn, "s1", 900)).caller


async def test_role_credentials_speak_for_the_role_until_they_expire(
    accounts: Accounts, root: Caller, clock: SettableClock
) -> None:
    arn = f"arn:aws:iam::{root.account}:role/{AGENT_ROLE}"
    made = await accounts.role_credentials(arn, "session-1", 900)
    assert made.secret_access_key not in repr(made)
    assert made.session_token not in repr(made)
    credential = await accounts.credential(made.access_key_id)
    assert credential is not None
    assert (credential.secret_access_key, credential.session_token) == (
        made.secret_access_key,
        made.session_token,
    )
    assert credential.expires_at == made.expires_at
    assert credential.caller.kind is CallerKind.ROLE
    assert credential.caller.principal == (f"arn:aws:sts::{root.account}:assumed-role/{AGENT_ROLE}/session-1")
    assert credential.caller.role == arn

    clock.pass_time(901)
    expired = await accounts.credential(made.access_key_id)
    assert expired is not None
    assert expired.expires_at is not None
    assert expired.expires_at < clock.now()
    assert await accounts.purge_expired() == 0
    clock.pass_time(3600)
    assert await accounts.purge_expired() == 1
    assert await accounts.credential(made.access_key_id) is None


async def test_credentials_need_a_role_and_a_bounded_time(accounts: Accounts, root: Caller) -> None:
    arn = f"arn:aws:iam::{root.account}:role/{AGENT_ROLE}"
    for seconds in (0, -1, 43_201):
        with pytest.raises(InvalidRequest, match="43200"):
            await accounts.role_credentials(arn, "s1", seconds)
    for unknown in (
        arn + "x",
        "InnkeeperAgentRole",
        arn.replace(":role/", ":role/path/"),
        "arn:aws:iam::1:user/x",
    ):
        with pytest.raises(NotFound):
            await accounts.role_credentials(unknown, "s1", 900)
    assert (await accounts.role(arn, root.account)).arn == arn
    with pytest.raises(NotFound):
        await accounts.role(arn, "999999999999")


async def test_agents_run_only_under_a_role_that_trusts_agentcore(accounts: Accounts, root: Caller) -> None:
    await accounts.check_agent_role(root, f"arn:aws:iam::{root.account}:role/{AGENT_ROLE}")
    other = await accounts.roles.create(root.account, "Other", trust({"Service": "ec2.amazonaws.com"}))
    for arn, says in ((other.arn, "trust policy"), (other.arn + "x", "no role")):
        with pytest.raises(InvalidRequest, match=says):
            await accounts.check_agent_role(root, arn)


async def test_the_agents_role_may_use_and_not_manage(
    accounts: Accounts, root: Caller, agent: Caller
) -> None:
    mine = f"arn:aws:bedrock-agentcore:us-east-1:{root.account}"
    allowed = [
        ("bedrock:InvokeModel", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2"),
        ("bedrock:ConverseStream", f"arn:aws:bedrock:us-east-1:{root.account}:inference-profile/us.x"),
        ("bedrock-agentcore:CreateEvent", f"{mine}:memory/m-1"),
        ("bedrock-agentcore:BatchCreateMemoryRecords", f"{mine}:memory/m-1"),
        ("bedrock-agentcore:InvokeCodeInterpreter", f"{mine}:code-interpreter-custom/c-1"),
        (
            "bedrock-agentcore:StartBrowserSession",
            "arn:aws:bedrock-agentcore:us-east-1:aws:browser/aws.browser.v1",
        ),
        ("bedrock-agentcore:GetResourceApiKey", f"{mine}:token-vault/default/apikeycredentialprovider/k"),
        (
            "bedrock-agentcore:GetWorkloadAccessTokenForJWT",
            f"{mine}:workload-identity-directory/default/workload-identity/w",
        ),
    ]
    for action, resource in allowed:
        await accounts.authorize(agent, action, resource)
    refused = [
        ("bedrock-agentcore:DeleteMemory", f"{mine}:memory/m-1"),
        ("bedrock-agentcore:CreateAgentRuntime", f"{mine}:runtime/r-1"),
        ("iam:PutRolePolicy", agent.role),
        ("s3:GetObject", "arn:aws:s3:::code/agent.zip"),
    ]
    for action, resource in refused:
        with pytest.raises(AccessDenied):
            await accounts.authorize(agent, action, resource)


async def test_a_refusal_is_in_the_words_of_aws(accounts: Accounts, agent: Caller) -> None:
    with pytest.raises(AccessDenied) as refusal:
        await accounts.authorize(agent, "iam:CreateRole", "*")
    assert refusal.value.message == (
        f"User: {agent.principal} is not authorized to perform: iam:CreateRole on resource: * "
        "because no identity-based policy allows the iam:CreateRole action"
    )
    await accounts.roles.put_inline(agent.account, AGENT_ROLE, "no", allow("iam:*", effect="Deny"))
    with pytest.raises(AccessDenied, match="with an explicit deny in an identity-based policy"):
        await accounts.authorize(agent, "iam:CreateRole", "*")


async def test_another_tenants_resource_looks_unknown_to_root_and_role(
    accounts: Accounts, root: Caller, agent: Caller
) -> None:
    await accounts.roles.put_inline(root.account, AGENT_ROLE, "all", allow("*"))
    foreign = "arn:aws:bedrock-agentcore:us-east-1:999999999999:memory/m-1"
    for caller in (root, agent):
        with pytest.raises(NotFound):
            await accounts.authorize(caller, "bedrock-agentcore:CreateEvent", foreign)
        own = foreign.replace("999999999999", root.account)
        await accounts.authorize(caller, "bedrock-agentcore:CreateEvent", own)


async def test_a_bearer_has_no_policies(accounts: Accounts, root: Caller) -> None:
    bearer = Caller(root.account, "user-1", "us-east-1", CallerKind.BEARER)
    with pytest.raises(AccessDenied):
        await accounts.authorize(bearer, "bedrock-agentcore:CreateEvent", "*")


async def test_a_change_of_policies_counts_at_once(accounts: Accounts, root: Caller) -> None:
    caller = await taker(accounts, root)
    with pytest.raises(AccessDenied):
        await accounts.authorize(caller, "s3:GetObject", "arn:aws:s3:::b/k")
    policy = await accounts.roles.create_managed(root.account, "Read", allow("s3:Get*"))
    await accounts.roles.attach(root.account, "Taker", policy.arn)
    await accounts.authorize(caller, "s3:GetObject", "arn:aws:s3:::b/k")
    await accounts.roles.put_inline(root.account, "Taker", "no", allow("s3:*", effect="Deny"))
    with pytest.raises(AccessDenied, match="explicit deny"):
        await accounts.authorize(caller, "s3:GetObject", "arn:aws:s3:::b/k")
    await accounts.roles.delete_inline(root.account, "Taker", "no")
    await accounts.roles.detach(root.account, "Taker", policy.arn)
    with pytest.raises(AccessDenied):
        await accounts.authorize(caller, "s3:GetObject", "arn:aws:s3:::b/k")


async def test_an_aws_managed_policy_is_kept_and_grants_nothing(accounts: Accounts, root: Caller) -> None:
    caller = await taker(accounts, root)
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    await accounts.roles.attach(root.account, "Taker", arn)
    assert await accounts.roles.attached(root.account, "Taker") == [arn]
    with pytest.raises(AccessDenied):
        await accounts.authorize(caller, "s3:GetObject", "arn:aws:s3:::b/k")
    for unknown, error in (
        ("nonsense", InvalidInput),
        (arn.replace(":aws:p", ":999999999999:p"), NoSuchEntity),
    ):
        with pytest.raises(error):
            await accounts.roles.attach(root.account, "Taker", unknown)


async def test_only_whom_the_trust_policy_names_may_take_a_role(accounts: Accounts, root: Caller) -> None:
    caller = await taker(accounts, root)
    direct = await accounts.roles.create(root.account, "Direct", trust({"AWS": caller.role}))
    made = await accounts.assume_role(caller, direct.arn, "s2", 900)
    assert made.caller.principal.endswith(":assumed-role/Direct/s2")

    service = trust({"Service": "bedrock-agentcore.amazonaws.com"})
    closed = await accounts.roles.create(root.account, "Closed", service)
    for arn in (closed.arn, closed.arn + "x", "arn:aws:iam::999999999999:role/Closed"):
        for refused in (caller, root):
            with pytest.raises(AccessDenied, match="sts:AssumeRole"):
                await accounts.assume_role(refused, arn, "s2", 900)


async def test_trust_in_the_account_asks_the_callers_own_policies_too(
    accounts: Accounts, root: Caller
) -> None:
    caller = await taker(accounts, root)
    shared = await accounts.roles.create(root.account, "Shared", trust({"AWS": root.principal}))
    await accounts.assume_role(root, shared.arn, "s2", 900)
    with pytest.raises(AccessDenied):
        await accounts.assume_role(caller, shared.arn, "s2", 900)
    await accounts.roles.put_inline(root.account, "Taker", "assume", allow("sts:AssumeRole", shared.arn))
    await accounts.assume_role(caller, shared.arn, "s2", 900)
    with pytest.raises(InvalidRequest, match="at most 3600"):
        await accounts.assume_role(caller, shared.arn, "s2", 3601)


async def test_trust_may_ask_for_an_external_id(accounts: Accounts, root: Caller) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "secret-word"}}
    role = await accounts.roles.create(
        root.account, "Outside", trust({"AWS": root.account}, Condition=condition)
    )
    await accounts.assume_role(root, role.arn, "s1", 900, "secret-word")
    for wrong in ("", "guess"):
        with pytest.raises(AccessDenied):
            await accounts.assume_role(root, role.arn, "s1", 900, wrong)


async def test_a_role_goes_only_without_policies_and_takes_its_sessions_along(
    accounts: Accounts, root: Caller, clock: SettableClock
) -> None:
    caller = await taker(accounts, root)
    roles = accounts.roles
    with pytest.raises(EntityAlreadyExists):
        await roles.create(root.account, "Taker", trust("*"))
    policy = await roles.create_managed(root.account, "Read", allow("s3:Get*"))
    with pytest.raises(EntityAlreadyExists):
        await roles.create_managed(root.account, "Read", allow("s3:Get*"))
    await roles.attach(root.account, "Taker", policy.arn)
    await roles.put_inline(root.account, "Taker", "inline", allow("s3:Put*"))
    with pytest.raises(DeleteConflict):
        await roles.delete_managed(root.account, policy.arn)
    with pytest.raises(DeleteConflict, match="detach"):
        await roles.delete(root.account, "Taker")
    await roles.detach(root.account, "Taker", policy.arn)
    with pytest.raises(DeleteConflict, match="delete policies"):
        await roles.delete(root.account, "Taker")
    await roles.delete_inline(root.account, "Taker", "inline")
    await roles.delete(root.account, "Taker")
    await roles.delete_managed(root.account, policy.arn)
    assert await accounts.credential(caller.access_key_id) is None
    for gone in (
        roles.get(root.account, "Taker"),
        roles.delete(root.account, "Taker"),
        roles.put_inline(root.account, "Taker", "x", allow("*")),
        roles.delete_managed(root.account, policy.arn),
    ):
        with pytest.raises(NoSuchEntity):
            await gone


async def test_a_malformed_policy_is_refused_before_it_is_kept(accounts: Accounts, root: Caller) -> None:
    roles = accounts.roles
    for bad in ("", "{}", "not json", trust("*")):
        with pytest.raises(MalformedPolicyDocument):
            await roles.put_inline(root.account, AGENT_ROLE, "bad", bad)
        with pytest.raises(MalformedPolicyDocument):
            await roles.create_managed(root.account, "bad", bad)
    with pytest.raises(MalformedPolicyDocument):
        await roles.create(root.account, "bad", allow("*"))
    with pytest.raises(MalformedPolicyDocument):
        await roles.set_trust(root.account, AGENT_ROLE, allow("*"))
    assert list(await roles.inline(root.account, AGENT_ROLE)) == ["InnkeeperAgentPolicy"]
