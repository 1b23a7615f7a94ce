"""Buckets, objects, uploads and their parts."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from innkeeper.services.buckets.errors import (
    InvalidBucketName,
    InvalidRange,
    KeyTooLong,
)

MAX_KEY_BYTES = 1024
MAX_PART = 10_000
# No key sorts after one that begins with a prefix and goes on like this.
LAST_CHARACTER = "\U0010ffff"

# Headers of a PUT that come back with the object.
_KEPT = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
_META = "x-amz-meta-"
_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True, slots=True)
class Bucket:
    account: str
    name: str
    region: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """`headers` are given back as they came (content-type, x-amz-meta-…), `checksums` by header name.

    `etag` has no quotes; `blob` is the key of the bytes in the blob store.
    """

    account: str
    bucket: str
    key: str
    blob: str
    size: int
    etag: str
    headers: Mapping[str, str]
    checksums: Mapping[str, str]
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    upload_id: str
    account: str
    bucket: str
    key: str
    headers: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    blob: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a listing: an object, or without one the prefix that stands for all keys below it."""

    name: str
    object: StoredObject | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to before `start + length`."""

    start: int
    length: int


def new_blob(account: str) -> str:
    return f"buckets/{account}/{secrets.token_hex(16)}"


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Of a request's headers, names in lower case, those that come back with the object."""
    kept = {"content-type": "binary/octet-stream"}
    kept |= {name: value for name, value in headers.items() if name in _KEPT or name.startswith(_META)}
    encodings = [part.strip() for part in kept.pop("content-encoding", "").split(",")]
    own = ",".join(part for part in encodings if part and part != "aws-chunked")
    return kept | ({"content-encoding": own} if own else {})


def check_bucket_name(name: str) -> None:
    if _BUCKET.fullmatch(name) is None:
        raise InvalidBucketName(
            "A bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens, begins and ends with "
            "a letter or digit, and has no two dots in a row"
        )


def check_key(key: str) -> None:
    if len(key.encode()) > MAX_KEY_BYTES:
        raise KeyTooLong(f"A key has at most {MAX_KEY_BYTES} bytes")


def common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """What a listing shows instead of the key, where the delimiter follows the prefix somewhere."""
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return None if end < 0 else key[: end + len(delimiter)]


def byte_range(header: str, size: int) -> Span | None:
    """The one range of a `Range` header (RFC 9110, 14.1.2); None for one that is to be ignored.

    Raises InvalidRange when it lies outside of the object.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first and last and int(first) > int(last):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) if first and last else size - 1, size - 1)
    if start > end:
        raise InvalidRange(f"The requested range is not within the object's {size} bytes")
    return Span(start, end - start + 1)
