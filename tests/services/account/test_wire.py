"""IAM and STS as boto3 sees them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from innkeeper.aws.models import service_model
from innkeeper.aws.operations import operations_of
from innkeeper.aws.planes import Plane
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.kernel.clock import SystemClock
from innkeeper.services.account.iam_operations import IamOperations
from innkeeper.services.account.model import AGENT_ROLE
from innkeeper.services.account.operations import StsOperations
from innkeeper.services.account.service import Accounts
from tests.services.account.serving import client, serving

Clients = Callable[..., Any]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "bedrock-agentcore.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
READ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}


@pytest.fixture
async def clients(database: Database, vault: LocalVault) -> AsyncIterator[Clients]:
    """Makes clients of a service: root's, or with the keys that are given."""
    accounts = Accounts(database, vault, SystemClock())
    root = await accounts.bootstrap()
    planes = [
        Plane("sts", "query", (service_model("sts"),), operations_of(("sts",), StsOperations(accounts))),
        Plane("iam", "query", (service_model("iam"),), operations_of(("iam",), IamOperations(accounts))),
    ]
    async with serving(accounts, planes) as url:
        yield lambda service, keys=(root.access_key_id, root.secret_access_key): client(service, url, keys)


async def test_a_role_lives_as_the_toolkit_makes_it(clients: Clients) -> None:
    def use() -> None:
        iam = clients("iam")
        with pytest.raises(iam.exceptions.NoSuchEntityException) as missing:
            iam.get_role(RoleName="Runtime")
        assert missing.value.response["Error"]["Code"] == "NoSuchEntity"

        made = iam.create_role(
            RoleName="Runtime",
            AssumeRolePolicyDocument=json.dumps(TRUST),
            Description="Execution role",
            Tags=[{"Key": "team", "Value": "a b"}],
        )["Role"]
        assert made["AssumeRolePolicyDocument"] == TRUST
        assert made["Arn"].endswith(":role/Runtime")
        got = iam.get_role(RoleName="Runtime")["Role"]
        assert got == made
        assert got["Description"] == "Execution role"
        with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName="Runtime", AssumeRolePolicyDocument=json.dumps(TRUST))

        iam.put_role_policy(RoleName="Runtime", PolicyName="Execution", PolicyDocument=json.dumps(READ))
        assert iam.list_role_policies(RoleName="Runtime")["PolicyNames"] == ["Execution"]
        inline = iam.get_role_policy(RoleName="Runtime", PolicyName="Execution")
        assert inline["PolicyDocument"] == READ
        policy = iam.create_policy(PolicyName="Read", PolicyDocument=json.dumps(READ))["Policy"]
        iam.attach_role_policy(RoleName="Runtime", PolicyArn=policy["Arn"])
        assert iam.get_policy(PolicyArn=policy["Arn"])["Policy"]["AttachmentCount"] == 1
        assert iam.list_attached_role_policies(RoleName="Runtime")["AttachedPolicies"] == [
            {"PolicyName": "Read", "PolicyArn": policy["Arn"]}
        ]
        with pytest.raises(iam.exceptions.DeleteConflictException):
            iam.delete_role(RoleName="Runtime")
        with pytest.raises(iam.exceptions.DeleteConflictException):
            iam.delete_policy(PolicyArn=policy["Arn"])

        iam.detach_role_policy(RoleName="Runtime", PolicyArn=policy["Arn"])
        iam.delete_role_policy(RoleName="Runtime", PolicyName="Execution")
        iam.delete_role(RoleName="Runtime")
        iam.delete_policy(PolicyArn=policy["Arn"])
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            iam.delete_role(RoleName="Runtime")

    await asyncio.to_thread(use)


async def test_lists_come_in_pages(clients: Clients) -> None:
    def use() -> None:
        iam = clients("iam")
        for number in range(4):
            iam.create_role(
                RoleName=f"R{number}",
                Path="/Deep/" if number == 3 else "/",
                AssumeRolePolicyDocument=json.dumps(TRUST),
            )
        pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2}))
        names = [role["RoleName"] for page in pages for role in page["Roles"]]
        assert names == [AGENT_ROLE, "R0", "R1", "R2", "R3"]
        assert [page["IsTruncated"] for page in pages] == [True, True, False]
        deep = iam.list_roles(PathPrefix="/Deep/")["Roles"]
        assert [role["Arn"].partition(":role")[2] for role in deep] == ["/Deep/R3"]
        assert iam.list_roles(PathPrefix="/deep/")["Roles"] == []
        for name in "abc":
            iam.put_role_policy(RoleName="R0", PolicyName=name, PolicyDocument=json.dumps(READ))
        paginator = iam.get_paginator("list_role_policies")
        found = paginator.paginate(RoleName="R0", PaginationConfig={"PageSize": 2})
        assert [page["PolicyNames"] for page in found] == [["a", "b"], ["c"]]

    await asyncio.to_thread(use)


async def test_bad_documents_and_limits_are_named(clients: Clients) -> None:
    def use() -> None:
        iam = clients("iam")
        with pytest.raises(iam.exceptions.MalformedPolicyDocumentException, match="Effect must be"):
            bad = json.dumps({"Statement": {"Action": "*", "Resource": "*"}})
            iam.put_role_policy(RoleName=AGENT_ROLE, PolicyName="x", PolicyDocument=bad)
        with pytest.raises(iam.exceptions.InvalidInputException, match="PermissionsBoundary"):
            iam.create_role(
                RoleName="Bound",
                AssumeRolePolicyDocument=json.dumps(TRUST),
                PermissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess",
            )
        sts = clients("sts")
        with pytest.raises(ClientError, match="session policies are not supported"):
            role = iam.get_role(RoleName=AGENT_ROLE)["Role"]["Arn"]
            sts.assume_role(RoleArn=role, RoleSessionName="s1", Policy=json.dumps(READ))

    await asyncio.to_thread(use)


async def test_sts_says_who_calls_and_lends_a_role(clients: Clients) -> None:
    def use() -> None:
        sts = clients("sts")
        root = sts.get_caller_identity()
        account = root["Account"]
        assert root["Arn"] == f"arn:aws:iam::{account}:root"
        assert root["UserId"] == account

        role = f"arn:aws:iam::{account}:role/{AGENT_ROLE}"
        made = sts.assume_role(RoleArn=role, RoleSessionName="session-1", DurationSeconds=900)
        lent = made["Credentials"]
        keys = (lent["AccessKeyId"], lent["SecretAccessKey"], lent["SessionToken"])
        identity = clients("sts", keys).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:sts::{account}:assumed-role/{AGENT_ROLE}/session-1"
        assert made["AssumedRoleUser"]["Arn"] == identity["Arn"]
        assert made["AssumedRoleUser"]["AssumedRoleId"] == identity["UserId"]
        assert identity["UserId"].startswith("AROA")

        with pytest.raises(ClientError) as refused:
            clients("iam", keys).list_roles()
        assert refused.value.response["Error"]["Code"] == "AccessDenied"
        with pytest.raises(ClientError) as refused:
            clients("sts", keys[:2]).get_caller_identity()
        assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"

    await asyncio.to_thread(use)
