"""What the tests of buckets share."""

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def new_bucket(s3: Any, name: str = "code") -> Any:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return s3
