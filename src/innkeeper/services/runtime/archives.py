"""The code archives of versions: a copy of their own, so that a version never changes with its bucket."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from innkeeper.engines.blobs.blobs import Blobs
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import FieldError, InvalidRequest, NotFound
from innkeeper.services.buckets.service import Buckets

_CHUNK = 1 << 20


class Archives:
    def __init__(self, blobs: Blobs, buckets: Buckets, max_bytes: int) -> None:
        self._blobs = blobs
        self._buckets = buckets
        self._max_bytes = max_bytes

    async def keep(self, account: str, runtime_id: str, number: int, artifact: Document) -> None:
        """Copy the archive that an `agentRuntimeArtifact` names. Raises InvalidRequest if there is none."""
        location = artifact["codeConfiguration"]["code"]["s3"]
        bucket, key = location["bucket"], location["prefix"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "archive.zip"
            try:
                await self._buckets.fetch(account, bucket, key, path)
            except NotFound as error:
                raise _invalid(f"there is no object {key} in a bucket {bucket} of this account") from error
            size = (await asyncio.to_thread(path.stat)).st_size
            if size > self._max_bytes:
                raise _invalid(f"the archive has {size} bytes; {self._max_bytes} are allowed")
            await self._blobs.put(_key(account, runtime_id, number), _chunks(path))

    async def copy_to(self, account: str, runtime_id: str, number: int, path: Path) -> None:
        await self._blobs.copy_to(_key(account, runtime_id, number), path)

    async def delete(self, account: str, runtime_id: str, number: int) -> None:
        await self._blobs.delete(_key(account, runtime_id, number))


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()


def _key(account: str, runtime_id: str, number: int) -> str:
    return f"archives/{account}/{runtime_id}/{number}"


def _invalid(rule: str) -> InvalidRequest:
    member = "agentRuntimeArtifact.codeConfiguration.code.s3"
    return InvalidRequest(f"Value at '{member}' is not allowed: {rule}", (FieldError(member, rule),))
