"""Buckets, as boto3 sees them."""

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.buckets.conftest import Clients
from tests.services.buckets.s3 import code, new_bucket


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
                new_bucket(api, name)
            assert code(bad) == "InvalidBucketName"

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
