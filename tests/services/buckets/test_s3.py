"""S3 as boto3 sees it."""

import asyncio
import base64
import hashlib
import io
import json
import os
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from innkeeper.kernel.errors import NotFound
from innkeeper.services.account.service import Accounts
from innkeeper.services.buckets.service import Buckets
from tests.services.buckets.conftest import Clients

MIB = 1 << 20


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def new_bucket(s3: Any, name: str = "code") -> Any:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return s3


async def test_a_bucket_comes_and_goes(s3: Clients) -> None:
    def use() -> None:
        api = s3()
        with pytest.raises(ClientError) as missing:
            api.head_bucket(Bucket="code")
        assert code(missing) == "404"
        new_bucket(api)
        api.head_bucket(Bucket="code")
        with pytest.raises(api.exceptions.BucketAlreadyOwnedByYou):
            new_bucket(api)
        assert [bucket["Name"] for bucket in api.list_buckets()["Buckets"]] == ["code"]
        assert api.get_bucket_location(Bucket="code")["LocationConstraint"] == "us-west-2"
        api.put_object(Bucket="code", Key="a", Body=b"x")
        with pytest.raises(ClientError) as full:
            api.delete_bucket(Bucket="code")
        assert code(full) == "BucketNotEmpty"
        api.delete_object(Bucket="code", Key="a")
        api.create_multipart_upload(Bucket="code", Key="b")
        api.delete_bucket(Bucket="code")
        for name in ("AB", "a", "a..b", "-ab", "a" * 64):
            with pytest.raises(ClientError) as bad:
                api.meta.events.unregister("before-parameter-build.s3", unique_id="validate-bucket")
                new_bucket(api, name)
            assert code(bad) in ("InvalidBucketName", "ParamValidation")

    await asyncio.to_thread(use)


async def test_configurations_are_kept_and_given_back(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())
        with pytest.raises(ClientError) as missing:
            api.get_bucket_lifecycle_configuration(Bucket="code")
        assert code(missing) == "NoSuchLifecycleConfiguration"
        rules = [{"ID": "old", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 7}}]
        api.put_bucket_lifecycle_configuration(
            Bucket="code", LifecycleConfiguration={"Rules": rules}, ExpectedBucketOwner=owner(api)
        )
        assert api.get_bucket_lifecycle_configuration(Bucket="code")["Rules"] == rules
        api.delete_bucket_lifecycle(Bucket="code")
        assert api.get_bucket_versioning(Bucket="code").get("Status") is None
        api.put_bucket_versioning(Bucket="code", VersioningConfiguration={"Status": "Suspended"})
        assert api.get_bucket_versioning(Bucket="code")["Status"] == "Suspended"
        block = {"BlockPublicAcls": True, "IgnorePublicAcls": True}
        api.put_public_access_block(Bucket="code", PublicAccessBlockConfiguration=block)
        api.put_bucket_tagging(Bucket="code", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        assert api.get_bucket_tagging(Bucket="code")["TagSet"] == [{"Key": "a", "Value": "b"}]
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        api.put_bucket_encryption(Bucket="code", ServerSideEncryptionConfiguration={"Rules": [rule]})
        with pytest.raises(ClientError) as refused:
            api.head_bucket(Bucket="code", ExpectedBucketOwner="999999999999")
        assert code(refused) == "403"
        with pytest.raises(ClientError) as unknown:
            api.get_bucket_acl(Bucket="code")
        assert code(unknown) == "NotImplemented"

    await asyncio.to_thread(use)


def owner(api: Any) -> str:
    return str(api.list_buckets()["Owner"]["ID"])


async def test_an_object_comes_back_as_it_went(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())
        body = os.urandom(3 * MIB + 5)
        key = "a folder/ü+%20&é.zip"
        put = api.put_object(
            Bucket="code",
            Key=key,
            Body=body,
            ContentType="application/zip",
            CacheControl="no-cache",
            Metadata={"agent": "one"},
        )
        assert put["ETag"] == f'"{md5(body).hex()}"'
        assert "ChecksumCRC32" in put
        got = api.get_object(Bucket="code", Key=key)
        assert got["Body"].read() == body
        head = api.head_object(Bucket="code", Key=key, ChecksumMode="ENABLED")
        for answer in (got, head):
            assert answer["ContentLength"] == len(body)
            assert answer["ContentType"] == "application/zip"
            assert answer["CacheControl"] == "no-cache"
            assert answer["Metadata"] == {"agent": "one"}
            assert answer["ETag"] == put["ETag"]
        assert head["ChecksumCRC32"] == put["ChecksumCRC32"]
        api.put_object(Bucket="code", Key=key, Body=b"second")
        assert api.get_object(Bucket="code", Key=key)["Body"].read() == b"second"
        api.put_object(Bucket="code", Key="empty", Body=b"")
        assert api.get_object(Bucket="code", Key="empty")["Body"].read() == b""
        api.delete_object(Bucket="code", Key=key)
        api.delete_object(Bucket="code", Key=key)
        with pytest.raises(api.exceptions.NoSuchKey):
            api.get_object(Bucket="code", Key=key)
        with pytest.raises(ClientError) as missing:
            api.head_object(Bucket="code", Key=key)
        assert code(missing) == "404"
        with pytest.raises(api.exceptions.NoSuchBucket):
            api.put_object(Bucket="nowhere", Key="k", Body=b"")

    await asyncio.to_thread(use)


async def test_ranges_and_conditions(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())
        etag = api.put_object(Bucket="code", Key="k", Body=b"0123456789")["ETag"]
        for asked, body, shown in (
            ("bytes=2-4", b"234", "bytes 2-4/10"),
            ("bytes=7-", b"789", "bytes 7-9/10"),
            ("bytes=-3", b"789", "bytes 7-9/10"),
            ("bytes=-30", b"0123456789", "bytes 0-9/10"),
            ("bytes=8-99", b"89", "bytes 8-9/10"),
        ):
            got = api.get_object(Bucket="code", Key="k", Range=asked)
            assert (got["Body"].read(), got["ContentRange"]) == (body, shown)
            assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        for ignored in ("bytes=4-2", "lines=1-2", "bytes=1-2,4-5"):
            assert len(api.get_object(Bucket="code", Key="k", Range=ignored)["Body"].read()) == 10
        for outside in ("bytes=10-", "bytes=-0"):
            with pytest.raises(ClientError) as refused:
                api.get_object(Bucket="code", Key="k", Range=outside)
            assert code(refused) == "InvalidRange"
        with pytest.raises(ClientError) as same:
            api.get_object(Bucket="code", Key="k", IfNoneMatch=etag)
        assert code(same) == "304"
        with pytest.raises(ClientError) as other:
            api.get_object(Bucket="code", Key="k", IfMatch='"other"')
        assert code(other) == "PreconditionFailed"
        api.get_object(Bucket="code", Key="k", IfMatch=etag, IfNoneMatch='"other"')
        with pytest.raises(ClientError) as unsupported:
            api.put_object(Bucket="code", Key="k", Body=b"", IfNoneMatch="*")
        assert code(unsupported) == "NotImplemented"
        with pytest.raises(ClientError) as versioned:
            api.get_object(Bucket="code", Key="k", VersionId="1")
        assert code(versioned) == "NotImplemented"

    await asyncio.to_thread(use)


async def test_large_files_go_up_in_parts_and_come_down_in_ranges(s3: Clients, tmp_path: Path) -> None:
    def use() -> None:
        api = new_bucket(s3())
        body = os.urandom(11 * MIB + 3)
        (tmp_path / "up").write_bytes(body)
        config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        api.upload_file(
            str(tmp_path / "up"), "code", "big.zip", {"Metadata": {"kind": "code"}}, Config=config
        )
        head = api.head_object(Bucket="code", Key="big.zip")
        parts = [body[at : at + 5 * MIB] for at in range(0, len(body), 5 * MIB)]
        together = b"".join(md5(part) for part in parts)
        assert head["ETag"] == f'"{md5(together).hex()}-3"'
        assert head["Metadata"] == {"kind": "code"}
        api.download_file("code", "big.zip", str(tmp_path / "down"), Config=config)
        assert (tmp_path / "down").read_bytes() == body

    await asyncio.to_thread(use)


async def test_parts_are_checked_and_can_be_given_up(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())

        def begin() -> dict[str, str]:
            made = api.create_multipart_upload(Bucket="code", Key="k")
            return {"Bucket": "code", "Key": "k", "UploadId": made["UploadId"]}

        upload = begin()
        tags = [
            api.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
            for number, body in ((2, b"world"), (1, b"old"), (1, b"hello "))
        ]
        listed = api.list_parts(**upload)
        assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, 6), (2, 5)]
        paged = api.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": 1})
        assert [part["PartNumber"] for page in paged for part in page["Parts"]] == [1, 2]

        first, second = {"PartNumber": 1, "ETag": tags[2]}, {"PartNumber": 2, "ETag": tags[0]}
        for wanted, error in (
            ([second, first], "InvalidPartOrder"),
            ([first, first], "InvalidPartOrder"),
            ([first | {"ETag": tags[1]}], "InvalidPart"),
            ([first, second | {"PartNumber": 3}], "InvalidPart"),
            ([], "MalformedXML"),
        ):
            with pytest.raises(ClientError) as refused:
                api.complete_multipart_upload(**upload, MultipartUpload={"Parts": wanted})
            assert code(refused) == error
        with pytest.raises(ClientError) as elsewhere:
            api.list_parts(**upload | {"Key": "other"})
        assert code(elsewhere) == "NoSuchUpload"
        for number in (0, 10_001):
            with pytest.raises(ClientError) as out_of_range:
                api.upload_part(**upload, PartNumber=number, Body=b"")
            assert code(out_of_range) == "InvalidArgument"

        api.complete_multipart_upload(**upload, MultipartUpload={"Parts": [first, second]})
        assert api.get_object(Bucket="code", Key="k")["Body"].read() == b"hello world"
        for gone in (upload, begin()):
            if gone is not upload:
                api.upload_part(**gone, PartNumber=1, Body=b"x")
                api.abort_multipart_upload(**gone)
            for call in (api.list_parts, api.abort_multipart_upload):
                with pytest.raises(ClientError) as missing:
                    call(**gone)
                assert code(missing) == "NoSuchUpload"

    await asyncio.to_thread(use)


async def test_no_bytes_are_left_behind(s3: Clients, tmp_path: Path) -> None:
    def use() -> None:
        api = new_bucket(s3())
        api.put_object(Bucket="code", Key="k", Body=b"one")
        api.put_object(Bucket="code", Key="k", Body=b"two")
        for finish in (True, False):
            upload = {"Bucket": "code", "Key": "k"}
            upload["UploadId"] = api.create_multipart_upload(**upload)["UploadId"]
            api.upload_part(**upload, PartNumber=1, Body=b"unused")
            part = api.upload_part(**upload, PartNumber=1, Body=b"three")
            wanted = [{"PartNumber": 1, "ETag": part["ETag"]}]
            if finish:
                api.complete_multipart_upload(**upload, MultipartUpload={"Parts": wanted})
        assert len(blob_files(tmp_path)) == 2
        api.delete_object(Bucket="code", Key="k")
        api.delete_bucket(Bucket="code")
        assert blob_files(tmp_path) == []

    await asyncio.to_thread(use)


def blob_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


async def test_listing_by_pages_prefixes_and_folders(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())
        keys = ["a/1", "a/2", "a/b/3", "a0", "B", "b&<>", "b c", "ü/1", "ü/2", "z"]
        for key in keys:
            api.put_object(Bucket="code", Key=key, Body=key.encode())

        def names(operation: str, size: int, **asked: str) -> list[str]:
            pages = api.get_paginator(operation).paginate(
                Bucket="code", PaginationConfig={"PageSize": size}, **asked
            )
            found = []
            for page in pages:
                lines = [line["Key"] for line in page.get("Contents", [])]
                folders = [line["Prefix"] for line in page.get("CommonPrefixes", [])]
                assert len(lines) + len(folders) <= size
                found += sorted([*lines, *folders], key=str.encode)
            return found

        for operation in ("list_objects_v2", "list_objects"):
            for size in (1, 2, 3, 1000):
                assert names(operation, size) == sorted(keys, key=str.encode)
                assert names(operation, size, Prefix="a/") == ["a/1", "a/2", "a/b/3"]
                assert names(operation, size, Prefix="A") == []
                folders = ["B", "a/", "a0", "b c", "b&<>", "z", "ü/"]
                assert names(operation, size, Delimiter="/") == folders
                assert names(operation, size, Delimiter="/", Prefix="a/") == ["a/1", "a/2", "a/b/"]
        assert names("list_objects_v2", 5, StartAfter="b c") == ["b&<>", "z", "ü/1", "ü/2"]
        line = api.list_objects_v2(Bucket="code", Prefix="B")["Contents"][0]
        assert (line["Size"], line["ETag"]) == (1, f'"{md5(b"B").hex()}"')
        assert api.list_objects_v2(Bucket="code", MaxKeys=0)["KeyCount"] == 0
        for wrong, error in (
            ({"ContinuationToken": "%%%"}, "InvalidArgument"),
            ({"MaxKeys": -1}, "InvalidArgument"),
            ({"Prefix": "\0"}, "InvalidURI"),
            ({"ContinuationToken": "AA=="}, "InvalidURI"),
        ):
            with pytest.raises(ClientError) as refused:
                api.list_objects_v2(Bucket="code", **wrong)
            assert code(refused) == error
        with pytest.raises(ClientError) as long:
            api.put_object(Bucket="code", Key="k" * 1025, Body=b"")
        assert code(long) == "KeyTooLongError"

    await asyncio.to_thread(use)


async def test_many_objects_are_deleted_at_once(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())
        for key in "abc":
            api.put_object(Bucket="code", Key=key, Body=b"")
        objects = [{"Key": key} for key in ("a", "b", "never there")]
        answer = api.delete_objects(Bucket="code", Delete={"Objects": objects})
        assert [line["Key"] for line in answer["Deleted"]] == ["a", "b", "never there"]
        quiet = {"Objects": [{"Key": "c"}], "Quiet": True}
        assert "Deleted" not in api.delete_objects(Bucket="code", Delete=quiet)
        assert api.list_objects_v2(Bucket="code")["KeyCount"] == 0

    await asyncio.to_thread(use)


async def test_objects_are_copied_with_their_headers_or_new_ones(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())
        new_bucket(api, "copies")
        api.put_object(Bucket="code", Key="a b/ü", Body=b"data", Metadata={"m": "1"}, ContentType="text/x")
        source = {"Bucket": "code", "Key": "a b/ü"}
        api.copy_object(Bucket="copies", Key="same", CopySource=source)
        api.copy_object(
            Bucket="copies", Key="new", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "2"}
        )
        api.delete_object(**source)
        same, new = (api.get_object(Bucket="copies", Key=key) for key in ("same", "new"))
        assert (same["Body"].read(), same["Metadata"], same["ContentType"]) == (
            b"data",
            {"m": "1"},
            "text/x",
        )
        assert (new["Body"].read(), new["Metadata"]) == (b"data", {"n": "2"})
        api.copy({"Bucket": "copies", "Key": "same"}, "copies", "managed")
        assert api.get_object(Bucket="copies", Key="managed")["Body"].read() == b"data"
        with pytest.raises(ClientError) as missing:
            api.copy_object(Bucket="copies", Key="x", CopySource=source)
        assert code(missing) == "NoSuchKey"

    await asyncio.to_thread(use)


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


async def test_a_body_that_is_not_what_its_checksum_says_is_refused(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())
        for wrong in (
            {"ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="},
            {"ChecksumCRC32": "AAAAAA=="},
            {"ChecksumSHA256": "A" * 43 + "="},
        ):
            with pytest.raises(ClientError) as refused:
                api.put_object(Bucket="code", Key="k", Body=io.BytesIO(b"data"), **wrong)
            assert code(refused) == "BadDigest"
        sums = api.put_object(Bucket="code", Key="k", Body=b"data", ChecksumAlgorithm="SHA256")
        assert "ChecksumSHA256" in sums

    await asyncio.to_thread(use)


async def test_a_body_in_chunks_arrives_without_them(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())
        crc32 = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()

        def put(checksum: str) -> int:
            body = f"6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
            headers = {
                "content-encoding": "aws-chunked",
                "x-amz-decoded-content-length": "11",
                "x-amz-trailer": "x-amz-checksum-crc32",
            }
            signed = AWSRequest("PUT", f"{api.meta.endpoint_url}/code/k", headers=headers, data=body)
            signed.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
            S3SigV4Auth(api._get_credentials(), "s3", "us-west-2").add_auth(signed)
            request = urllib.request.Request(signed.url, body, dict(signed.headers), method="PUT")
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        assert put("AAAAAA==") == 400
        assert put(crc32) == 200
        got = api.get_object(Bucket="code", Key="k")
        assert got["Body"].read() == b"hello world"
        assert got["ChecksumCRC32"] == crc32
        assert "ContentEncoding" not in got

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
