"""Checksums that clients send along.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

import asyncio
import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from innkeeper.services.buckets.errors import BadDigest

_PREFIX = "x-amz-checksum-"
_NO_VALUES = ("algorithm", "mode", "type")
_THREAD_BYTES = 1 << 18

_ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha512": lambda body: hashlib.sha512(body).digest(),
}


@dataclass(frozen=True, slots=True)
class Digest:
    """`md5` in hexadecimal; `checksums` as they were sent, by header name."""

    md5: str
    checksums: dict[str, str]


async def verify(body: bytes, headers: Mapping[str, str]) -> Digest:
    """Raises BadDigest. Checksums of other kinds (CRC-32C, CRC-64/NVME) are kept for the client to verify."""
    if len(body) < _THREAD_BYTES:
        return _verify(body, headers)
    return await asyncio.to_thread(_verify, body, headers)


def _verify(body: bytes, headers: Mapping[str, str]) -> Digest:
    md5 = hashlib.md5(body, usedforsecurity=False)
    _compare("Content-MD5", headers.get("content-md5"), md5.digest())
    checksums = {
        name: value
        for name, value in headers.items()
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) not in _NO_VALUES
    }
    for name, value in checksums.items():
        algorithm = _ALGORITHMS.get(name.removeprefix(_PREFIX))
        if algorithm is not None:
            _compare(name, value, algorithm(body))
    return Digest(md5.hexdigest(), checksums)


def _compare(name: str, sent: str | None, computed: bytes) -> None:
    if sent is not None and sent != base64.b64encode(computed).decode():
        raise BadDigest(f"The {name} you specified did not match what we received")
