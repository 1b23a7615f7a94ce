"""Objects, as boto3 sees them."""

import asyncio
import base64
import io
import os
import urllib.error
import urllib.request
import zlib

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from tests.services.buckets.conftest import Clients
from tests.services.buckets.s3 import code, md5, new_bucket

MIB = 1 << 20


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
