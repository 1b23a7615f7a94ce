"""Secrets are made, read, changed and deleted with boto3 as it is."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import select

from innkeeper.engines.store.database import Database
from innkeeper.kernel.ids import Arn
from innkeeper.services.account.service import Accounts
from innkeeper.services.secrets_manager.service import SecretsManager
from innkeeper.services.secrets_manager.store import secret_versions
from tests.services.secrets_manager.conftest import Clients, LaterClock

TEXT = "correct horse battery staple"


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert TEXT not in str(caught.value.response)
    return error["Code"], error["Message"]


def stages(api: Any, name: str) -> dict[str, list[str]]:
    """The labels by the values that have them."""
    labels = api.describe_secret(SecretId=name)["VersionIdsToStages"]
    return {api.get_secret_value(SecretId=name, VersionId=one)["SecretString"]: labels[one] for one in labels}


async def test_a_secret_s_values_follow_each_other_and_lie_sealed(
    clients: Clients, database: Database, tmp_path: Path
) -> None:
    def use() -> None:
        api = clients()
        token = str(uuid.uuid4())
        wanted = {"Name": "app/db@prod", "SecretString": "one", "ClientRequestToken": token}
        made = api.create_secret(**wanted, Description="of the app", Tags=[{"Key": "team", "Value": "a"}])
        assert made["VersionId"] == token
        assert (
            made["ARN"][:-6]
            == f"arn:aws:secretsmanager:us-west-2:{made['ARN'].split(':')[4]}:secret:app/db@prod-"
        )
        assert api.create_secret(**wanted)["ARN"] == made["ARN"]
        assert (
            refused(api.create_secret, Name="app/db@prod", SecretString=TEXT)[0] == "ResourceExistsException"
        )
        for name in ("app/db@prod", made["ARN"], made["ARN"][:-7]):
            assert api.get_secret_value(SecretId=name)["SecretString"] == "one"
        two = api.put_secret_value(SecretId="app/db@prod", SecretString="two")
        assert two["VersionStages"] == ["AWSCURRENT"]
        assert stages(api, made["ARN"]) == {"two": ["AWSCURRENT"], "one": ["AWSPREVIOUS"]}
        repeat = {"SecretId": "app/db@prod", "ClientRequestToken": two["VersionId"]}
        assert api.put_secret_value(**repeat, SecretString="two")["VersionId"] == two["VersionId"]
        assert refused(api.put_secret_value, **repeat, SecretString=TEXT)[0] == "ResourceExistsException"
        api.put_secret_value(SecretId="app/db@prod", SecretString="next", VersionStages=["AWSPENDING"])
        api.update_secret(SecretId="app/db@prod", SecretString="three", Description="new")
        assert stages(api, made["ARN"]) == {
            "next": ["AWSPENDING"],
            "three": ["AWSCURRENT"],
            "two": ["AWSPREVIOUS"],
        }
        assert (
            api.get_secret_value(SecretId="app/db@prod", VersionStage="AWSPREVIOUS")["SecretString"] == "two"
        )
        listed = api.list_secret_version_ids(SecretId="app/db@prod", IncludeDeprecated=True)["Versions"]
        assert [one["VersionId"] for one in listed][:2] == [token, two["VersionId"]]
        assert "VersionStages" not in listed[0]
        asked = {"SecretId": "app/db@prod", "IncludeDeprecated": True, "MaxResults": 1}
        first = api.list_secret_version_ids(**asked)
        rest = api.list_secret_version_ids(**asked, NextToken=first["NextToken"])
        assert [*first["Versions"], *rest["Versions"]] == listed[:2]
        told = api.describe_secret(SecretId="app/db@prod")
        assert told["Description"] == "new"
        assert told["Tags"] == [{"Key": "team", "Value": "a"}]
        assert told["LastAccessedDate"].date() == datetime.now(UTC).date()

    await asyncio.to_thread(use)
    await asyncio.to_thread(lambda: clients().create_secret(Name="sealed", SecretString=TEXT))
    async with database.begin() as connection:
        sealed = (await connection.execute(select(secret_versions.c.sealed))).scalars().all()
    assert len(sealed) == 5
    for held in (*sealed, *(path.read_bytes() for path in tmp_path.glob("innkeeper.db*"))):
        assert TEXT.encode() not in held


async def test_labels_move_as_rotation_needs_them_to(clients: Clients) -> None:
    def use() -> None:
        api = clients()
        old = api.create_secret(Name="rotated", SecretString="old")["VersionId"]
        new = api.put_secret_value(SecretId="rotated", SecretString="new", VersionStages=["AWSPENDING"])[
            "VersionId"
        ]
        move = {"SecretId": "rotated", "VersionStage": "AWSCURRENT"}
        code, message = refused(api.update_secret_version_stage, **move, MoveToVersionId=new)
        assert (code, old in message) == ("InvalidParameterException", True)
        api.update_secret_version_stage(**move, MoveToVersionId=new, RemoveFromVersionId=old)
        assert stages(api, "rotated") == {"new": ["AWSCURRENT", "AWSPENDING"], "old": ["AWSPREVIOUS"]}
        last = {"SecretId": "rotated", "VersionStage": "AWSPENDING", "RemoveFromVersionId": new}
        api.update_secret_version_stage(**last)
        assert stages(api, "rotated") == {"new": ["AWSCURRENT"], "old": ["AWSPREVIOUS"]}
        for wrong in ({}, {"RemoveFromVersionId": new}):
            assert refused(api.update_secret_version_stage, **move, **wrong)[0] == "InvalidParameterException"

    await asyncio.to_thread(use)


async def test_what_cannot_be_is_refused_by_its_name(clients: Clients) -> None:
    def use() -> None:
        api = clients()
        parameter, state, missing = (
            "InvalidParameterException",
            "InvalidRequestException",
            "ResourceNotFoundException",
        )
        both = {"SecretString": TEXT, "SecretBinary": b"x"}
        for wrong in (
            {"Name": "no spaces"},
            {"Name": "x", **both},
            {"Name": "x", "SecretString": "é" * 40_000},
        ):
            assert refused(api.create_secret, **wrong)[0] == parameter
        for odd in ({"Description": "a\0b"}, {"AddReplicaRegions": [{"Region": "eu-west-1"}]}):
            assert refused(api.create_secret, Name="x", **odd)[0] == parameter
        empty = api.create_secret(Name="empty")
        assert "VersionId" not in empty
        assert "AWSCURRENT" in refused(api.get_secret_value, SecretId="empty")[1]
        assert refused(api.put_secret_value, SecretId="empty")[0] == parameter
        first = api.put_secret_value(
            SecretId="empty", SecretBinary=b"\0\xff" * 32_768, VersionStages=["MINE"]
        )
        assert first["VersionStages"] == ["AWSCURRENT", "MINE"]
        assert api.get_secret_value(SecretId="empty")["SecretBinary"] == b"\0\xff" * 32_768
        for call in (api.get_secret_value, api.describe_secret, api.delete_secret, api.restore_secret):
            assert refused(call, SecretId="nowhere")[0] == missing
        assert refused(api.get_secret_value, SecretId="empty", VersionId=str(uuid.uuid4()))[0] == missing
        mixed = {"SecretId": "empty", "VersionId": first["VersionId"], "VersionStage": "AWSPREVIOUS"}
        assert refused(api.get_secret_value, **mixed)[0] == state
        assert refused(api.list_secrets, NextToken="made up")[0] == "InvalidNextTokenException"
        assert refused(api.rotate_secret, SecretId="empty")[0] == "NotImplementedException"
        for tags in ([{"Key": "aws:x", "Value": ""}], [{"Key": f"k{n}", "Value": ""} for n in range(51)]):
            code, _ = refused(api.tag_resource, SecretId="empty", Tags=tags)
            assert code in (parameter, "ServiceQuotaExceededException")
        api.tag_resource(SecretId="empty", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        api.untag_resource(SecretId="empty", TagKeys=["a", "c"])
        assert api.describe_secret(SecretId="empty")["Tags"] == [{"Key": "b", "Value": "2"}]

    await asyncio.to_thread(use)


async def test_a_deleted_secret_can_be_had_back_for_a_while(
    clients: Clients, service: SecretsManager, clock: LaterClock
) -> None:
    def delete() -> None:
        api = clients()
        api.create_secret(Name="kept", SecretString=TEXT)
        for days in (6, 31):
            code, _ = refused(api.delete_secret, SecretId="kept", RecoveryWindowInDays=days)
            assert code == "InvalidParameterException"
        gone = api.delete_secret(SecretId="kept", RecoveryWindowInDays=7)
        assert timedelta(days=6.9) < gone["DeletionDate"] - datetime.now(UTC) < timedelta(days=7.1)
        for call, more in (
            (api.get_secret_value, {}),
            (api.put_secret_value, {"SecretString": "new"}),
            (api.update_secret, {"Description": "new"}),
            (api.tag_resource, {"Tags": []}),
            (api.delete_secret, {}),
        ):
            assert refused(call, SecretId="kept", **more)[0] == "InvalidRequestException"
        assert refused(api.create_secret, Name="kept", SecretString=TEXT)[0] == "InvalidRequestException"
        assert api.describe_secret(SecretId="kept")["DeletedDate"] == gone["DeletionDate"]
        assert api.list_secrets()["SecretList"] == []
        assert len(api.list_secrets(IncludePlannedDeletion=True)["SecretList"]) == 1
        api.restore_secret(SecretId="kept")
        assert api.get_secret_value(SecretId="kept")["SecretString"] == TEXT
        api.delete_secret(SecretId="kept", RecoveryWindowInDays=7)

    def after() -> None:
        api = clients()
        assert refused(api.restore_secret, SecretId="kept")[0] == "ResourceNotFoundException"
        made = api.create_secret(Name="kept", SecretString="another")
        api.delete_secret(SecretId="kept", ForceDeleteWithoutRecovery=True)
        api.delete_secret(SecretId="kept", ForceDeleteWithoutRecovery=True)
        assert refused(api.get_secret_value, SecretId=made["ARN"])[0] == "ResourceNotFoundException"

    await asyncio.to_thread(delete)
    assert await service.purge() == 0
    clock.shift = timedelta(days=8)
    assert await service.purge() == 1
    await asyncio.to_thread(after)


async def test_secrets_are_listed_filtered_and_read_together(clients: Clients) -> None:
    def use() -> None:
        api = clients()
        for name in ("db/a", "db/b", "mail"):
            tags = [{"Key": "env", "Value": "prod" if name == "db/b" else "test"}]
            api.create_secret(Name=name, SecretString=f"of {name}", Description=f"The {name} one", Tags=tags)
        api.get_secret_value(SecretId="db/b")

        def names(**parameters: Any) -> list[str]:
            pages = api.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 1}, **parameters)
            return [one["Name"] for page in pages for one in page["SecretList"]]

        def filtered(key: str, *values: str) -> list[str]:
            return names(Filters=[{"Key": key, "Values": [*values]}])

        assert names() == ["db/a", "db/b", "mail"]
        assert names(SortOrder="desc", SortBy="name") == ["mail", "db/b", "db/a"]
        assert names(SortBy="last-accessed-date") == ["db/a", "mail", "db/b"]
        assert filtered("name", "db/") == ["db/a", "db/b"]
        assert filtered("name", "!db/") == filtered("description", "the mail") == ["mail"]
        assert filtered("tag-value", "prod", "x") == filtered("all", "PROD db") == ["db/b"]
        assert filtered("tag-key", "Env") == filtered("owning-service", "rds") == []
        read = api.batch_get_secret_value(SecretIdList=["mail", "nowhere"])
        assert [one["SecretString"] for one in read["SecretValues"]] == ["of mail"]
        assert [(one["SecretId"], one["ErrorCode"]) for one in read["Errors"]] == [
            ("nowhere", "ResourceNotFoundException")
        ]
        asked = {"Filters": [{"Key": "name", "Values": ["db"]}], "MaxResults": 1}
        first = api.batch_get_secret_value(**asked)
        rest = api.batch_get_secret_value(**asked, NextToken=first["NextToken"])
        found = [one["SecretString"] for page in (first, rest) for one in page["SecretValues"]]
        assert found == ["of db/a", "of db/b"]

    await asyncio.to_thread(use)


async def test_secrets_are_their_tenant_s_and_roles_need_a_word(clients: Clients, accounts: Accounts) -> None:
    other = await accounts.create_account("other")
    root = await accounts.bootstrap()

    def use() -> str:
        mine, theirs = clients(), clients((other.access_key_id, other.secret_access_key))
        arn: str = mine.create_secret(Name="mine", SecretString=TEXT)["ARN"]
        mine.create_secret(Name="not-for-roles", SecretString=TEXT)
        for name in ("mine", arn):
            assert refused(theirs.get_secret_value, SecretId=name)[0] == "ResourceNotFoundException"
        assert theirs.list_secrets()["SecretList"] == []
        assert theirs.create_secret(Name="mine", SecretString="theirs")["ARN"] != arn
        return arn

    arn = await asyncio.to_thread(use)
    policy = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": f"{arn[:-6]}??????"}
    await accounts.roles.put_inline(
        root.account,
        "InnkeeperAgentRole",
        "Reads",
        json.dumps({"Version": "2012-10-17", "Statement": [policy]}),
    )
    role = str(Arn("iam", "", root.account, "role/InnkeeperAgentRole"))
    keys = await accounts.role_credentials(role, "reader", 900)

    def as_role() -> None:
        api = clients((keys.access_key_id, keys.secret_access_key, keys.session_token))
        assert api.get_secret_value(SecretId="mine")["SecretString"] == TEXT
        for call, name in (
            (api.get_secret_value, "not-for-roles"),
            (api.get_secret_value, "nowhere"),
            (api.delete_secret, "mine"),
        ):
            assert refused(call, SecretId=name)[0] == "AccessDeniedException"
        assert refused(api.list_secrets)[0] == "AccessDeniedException"

    await asyncio.to_thread(as_role)
