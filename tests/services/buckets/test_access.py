"""Who may reach a bucket, and how."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from innkeeper.kernel.errors import NotFound
from innkeeper.services.account.service import Accounts
from innkeeper.services.buckets.service import Buckets
from tests.services.buckets.conftest import Clients
from tests.services.buckets.s3 import code, new_bucket


async def test_presigned_urls_put_and_get(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3(signature_version="s3v4"))
        target = {"Bucket": "code", "Key": "signed"}
        put = api.generate_presigned_url("put_object", target)
        request = urllib.request.Request(put, b"by url", method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        wanted = target | {"ResponseContentType": "text/plain"}
        with urllib.request.urlopen(api.generate_presigned_url("get_object", wanted), timeout=10) as answer:
            assert answer.read() == b"by url"
            assert answer.headers["content-type"] == "text/plain"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(put.replace("signed", "other"), timeout=10)
        refused.value.close()
        assert refused.value.code == 403

    await asyncio.to_thread(use)


async def test_another_account_sees_nothing(s3: Clients, accounts: Accounts) -> None:
    other = await accounts.create_account("other")

    def use() -> None:
        mine, theirs = new_bucket(s3()), s3((other.access_key_id, other.secret_access_key))
        mine.put_object(Bucket="code", Key="k", Body=b"mine")
        assert theirs.list_buckets()["Buckets"] == []
        with pytest.raises(theirs.exceptions.NoSuchBucket):
            theirs.get_object(Bucket="code", Key="k")
        with pytest.raises(ClientError) as source:
            theirs.copy_object(Bucket="code", Key="x", CopySource="code/k")
        assert code(source) == "NoSuchBucket"
        upload = mine.create_multipart_upload(Bucket="code", Key="k")["UploadId"]
        new_bucket(theirs).put_object(Bucket="code", Key="k", Body=b"theirs")
        with pytest.raises(theirs.exceptions.NoSuchUpload):
            theirs.abort_multipart_upload(Bucket="code", Key="k", UploadId=upload)
        assert mine.get_object(Bucket="code", Key="k")["Body"].read() == b"mine"

    await asyncio.to_thread(use)


async def test_a_role_does_what_its_policy_allows(s3: Clients, accounts: Accounts) -> None:
    account = (await accounts.bootstrap()).account
    trust = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
    statements = [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:DeleteObject"],
            "Resource": "arn:aws:s3:::code/in/*",
        },
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::code/out/*"},
    ]
    role = await accounts.roles.create(account, "Reader", json.dumps({"Statement": trust}))
    await accounts.roles.put_inline(account, "Reader", "s3", json.dumps({"Statement": statements}))
    made = await accounts.role_credentials(role.arn, "s1", 900)

    def use() -> None:
        root = new_bucket(s3())
        for key in ("in/a", "out/b"):
            root.put_object(Bucket="code", Key=key, Body=b"x")
        api = s3((made.access_key_id, made.secret_access_key, made.session_token))
        api.get_object(Bucket="code", Key="in/a")
        api.copy_object(Bucket="code", Key="out/a", CopySource="code/in/a")
        for call, asked in (
            (api.get_object, {"Bucket": "code", "Key": "out/b"}),
            (api.put_object, {"Bucket": "code", "Key": "in/b", "Body": b""}),
            (api.copy_object, {"Bucket": "code", "Key": "out/c", "CopySource": "code/out/b"}),
            (api.list_objects_v2, {"Bucket": "code"}),
            (api.list_buckets, {}),
        ):
            with pytest.raises(ClientError) as error:
                call(**asked)
            assert code(error) == "AccessDenied"
        objects = [{"Key": "in/a"}, {"Key": "out/b"}]
        answer = api.delete_objects(Bucket="code", Delete={"Objects": objects})
        assert [line["Key"] for line in answer["Deleted"]] == ["in/a"]
        assert [(line["Key"], line["Code"]) for line in answer["Errors"]] == [("out/b", "AccessDenied")]

    await asyncio.to_thread(use)


async def test_other_services_fetch_an_object_as_a_file(buckets: Buckets, tmp_path: Path) -> None:
    account = "123456789012"
    await buckets.create(account, "code", "us-west-2")
    await buckets.put_object(account, "code", "agent.zip", b"zipped")
    await buckets.fetch(account, "code", "agent.zip", tmp_path / "agent.zip")
    assert (tmp_path / "agent.zip").read_bytes() == b"zipped"
    for owner, bucket, key in (
        (account, "code", "other"),
        (account, "nowhere", "agent.zip"),
        ("999999999999", "code", "agent.zip"),
    ):
        with pytest.raises(NotFound, match="There is no object"):
            await buckets.fetch(owner, bucket, key, tmp_path / "copy")
