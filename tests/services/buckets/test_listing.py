"""Listings, as boto3 sees them."""

import asyncio

import pytest
from botocore.exceptions import ClientError

from tests.services.buckets.conftest import Clients
from tests.services.buckets.s3 import code, md5, new_bucket


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
