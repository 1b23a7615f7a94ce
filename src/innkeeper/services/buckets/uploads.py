"""Uploads in parts: begun, filled, completed or aborted."""

import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.blobs.blobs import Blobs
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.services.buckets import store, upload_store
from innkeeper.services.buckets.checksums import Digest, verify
from innkeeper.services.buckets.errors import (
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    NoSuchBucket,
    NoSuchUpload,
)
from innkeeper.services.buckets.model import (
    MAX_PART,
    Part,
    StoredObject,
    Upload,
    check_key,
    kept_headers,
    new_blob,
)


class Uploads:
    """Every method but `begin` raises NoSuchUpload unless the upload is to this bucket and key."""

    def __init__(self, database: Database, blobs: Blobs, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock

    async def begin(self, account: str, bucket: str, key: str, headers: Mapping[str, str]) -> str:
        """The upload's id. Raises NoSuchBucket, KeyTooLong."""
        check_key(key)
        upload = Upload(secrets.token_hex(24), account, bucket, key, kept_headers(headers), self._clock.now())
        try:
            async with self._database.begin() as connection:
                await upload_store.add_upload(connection, upload)
        except IntegrityError as error:
            raise NoSuchBucket(bucket) from error
        return upload.upload_id

    async def put_part(
        self,
        account: str,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        body: bytes,
        headers: Mapping[str, str],
    ) -> Digest:
        """Replaces the part of that number; `headers` may hold checksums. May raise BadDigest."""
        if not 1 <= number <= MAX_PART:
            raise InvalidArgument(f"Part number must be an integer between 1 and {MAX_PART}")
        digest = await verify(body, headers)
        async with self._database.begin() as connection:
            await _upload(connection, account, bucket, key, upload_id)
        part = Part(number, new_blob(account), len(body), digest.md5, self._clock.now())
        await self._blobs.put(part.blob, once(body))
        try:
            async with self._database.begin() as connection:
                replaced = await upload_store.put_part(connection, account, upload_id, part)
        except IntegrityError as error:
            await self._blobs.delete(part.blob)
            raise NoSuchUpload from error
        if replaced:
            await self._blobs.delete(replaced)
        return digest

    async def parts(self, account: str, bucket: str, key: str, upload_id: str) -> list[Part]:
        """By number."""
        async with self._database.begin() as connection:
            await _upload(connection, account, bucket, key, upload_id)
            return await upload_store.parts_of(connection, account, upload_id)

    async def complete(
        self, account: str, bucket: str, key: str, upload_id: str, wanted: Sequence[tuple[int, str]]
    ) -> StoredObject:
        """Make the object of the wanted parts, each a number and an ETag without quotes.

        Raises InvalidPart, InvalidPartOrder.
        """
        async with self._database.begin() as connection:
            upload = await _upload(connection, account, bucket, key, upload_id)
            chosen = _chosen(await upload_store.parts_of(connection, account, upload_id), wanted)
        blob = new_blob(account)
        try:
            size = await self._blobs.put(blob, self._content(chosen))
        except KeyError as error:
            raise NoSuchUpload from error
        new = StoredObject(
            account, bucket, key, blob, size, _etag(chosen), upload.headers, {}, self._clock.now()
        )
        try:
            async with self._database.begin() as connection:
                there = await upload_store.parts_of(connection, account, upload_id)
                if not await upload_store.delete_upload(connection, account, upload_id):
                    raise NoSuchUpload
                replaced = await store.put_object(connection, new)
        except NoSuchUpload:
            await self._blobs.delete(blob)
            raise
        for unnamed in [*(part.blob for part in there), *filter(None, [replaced])]:
            await self._blobs.delete(unnamed)
        return new

    async def abort(self, account: str, bucket: str, key: str, upload_id: str) -> None:
        async with self._database.begin() as connection:
            await _upload(connection, account, bucket, key, upload_id)
            there = await upload_store.parts_of(connection, account, upload_id)
            await upload_store.delete_upload(connection, account, upload_id)
        for part in there:
            await self._blobs.delete(part.blob)

    async def _content(self, parts: Sequence[Part]) -> AsyncIterator[bytes]:
        for part in parts:
            async for chunk in self._blobs.read(part.blob):
                yield chunk


async def once(body: bytes) -> AsyncIterator[bytes]:
    """A body at hand as the stream that a blob store takes."""
    yield body


async def _upload(connection: AsyncConnection, account: str, bucket: str, key: str, upload_id: str) -> Upload:
    found = await upload_store.find_upload(connection, account, upload_id)
    if found is None or (found.bucket, found.key) != (bucket, key):
        raise NoSuchUpload
    return found


def _chosen(there: Sequence[Part], wanted: Sequence[tuple[int, str]]) -> list[Part]:
    numbers = [number for number, _ in wanted]
    if numbers != sorted(set(numbers)):
        raise InvalidPartOrder("The list of parts was not in ascending order")
    by_number = {part.number: part for part in there}
    for number, etag in wanted:
        if number not in by_number or by_number[number].etag != etag:
            raise InvalidPart(f"Part {number} could not be found, or its ETag is another")
    return [by_number[number] for number in numbers]


def _etag(parts: Sequence[Part]) -> str:
    """As S3 makes it: the MD5 of the parts' MD5s, and how many there are."""
    together = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(together, usedforsecurity=False).hexdigest()}-{len(parts)}"
