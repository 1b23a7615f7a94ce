"""Buckets of an account and the objects in them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.blobs.blobs import Blobs
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock, SystemClock
from innkeeper.kernel.errors import NotFound, Unavailable
from innkeeper.services.buckets import store, upload_store
from innkeeper.services.buckets.checksums import verify
from innkeeper.services.buckets.errors import (
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    NoSuchBucket,
    NoSuchKey,
)
from innkeeper.services.buckets.model import (
    LAST_CHARACTER,
    Bucket,
    Entry,
    Span,
    StoredObject,
    check_bucket_name,
    check_key,
    common_prefix,
    kept_headers,
    new_blob,
)
from innkeeper.services.buckets.uploads import Uploads, once


class Buckets:
    """Every method raises NoSuchBucket for a bucket that this account has not; `uploads` is for parts."""

    def __init__(self, database: Database, blobs: Blobs, clock: Clock | None = None) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock or SystemClock()
        self.uploads = Uploads(database, blobs, self._clock)

    async def create(self, account: str, name: str, region: str) -> None:
        check_bucket_name(name)
        try:
            async with self._database.begin() as connection:
                await store.add_bucket(connection, Bucket(account, name, region, self._clock.now()))
        except IntegrityError as error:
            raise BucketAlreadyOwnedByYou(f"You have a bucket named {name} already") from error

    async def get(self, account: str, name: str) -> Bucket:
        async with self._database.begin() as connection:
            return await _bucket(connection, account, name)

    async def list_all(self, account: str) -> list[Bucket]:
        async with self._database.begin() as connection:
            return await store.list_buckets(connection, account)

    async def delete(self, account: str, name: str) -> None:
        """Ends its uploads too. Raises BucketNotEmpty."""
        try:
            async with self._database.begin() as connection:
                unnamed = await upload_store.part_blobs(connection, account, name)
                if not await store.delete_bucket(connection, account, name):
                    raise NoSuchBucket(name)
        except IntegrityError as error:
            raise BucketNotEmpty("The bucket you tried to delete is not empty") from error
        for blob in unnamed:
            await self._blobs.delete(blob)

    async def configure(self, account: str, bucket: str, kind: str, document: str) -> None:
        """Keep a document such as the bucket's `lifecycle`, to be given back as it came."""
        async with self._database.begin() as connection:
            await _bucket(connection, account, bucket)
            await store.put_configuration(connection, account, bucket, kind, document)

    async def configuration(self, account: str, bucket: str, kind: str) -> str | None:
        async with self._database.begin() as connection:
            await _bucket(connection, account, bucket)
            return await store.find_configuration(connection, account, bucket, kind)

    async def delete_configuration(self, account: str, bucket: str, kind: str) -> None:
        async with self._database.begin() as connection:
            await _bucket(connection, account, bucket)
            await store.delete_configuration(connection, account, bucket, kind)

    async def put_object(
        self, account: str, bucket: str, key: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> StoredObject:
        """`headers` may hold checksums, which are verified. Raises BadDigest, KeyTooLong."""
        check_key(key)
        digest = await verify(body, headers or {})
        await self.get(account, bucket)
        blob = new_blob(account)
        await self._blobs.put(blob, once(body))
        new = StoredObject(
            account,
            bucket,
            key,
            blob,
            len(body),
            digest.md5,
            kept_headers(headers or {}),
            digest.checksums,
            self._clock.now(),
        )
        await self._publish(new)
        return new

    async def copy_object(
        self, source: StoredObject, bucket: str, key: str, headers: Mapping[str, str] | None
    ) -> StoredObject:
        """To a bucket of the same account; `headers` replace those of the source."""
        check_key(key)
        await self.get(source.account, bucket)
        blob = new_blob(source.account)
        try:
            await self._blobs.put(blob, self._blobs.read(source.blob))
        except KeyError as error:
            raise _replaced() from error
        new = replace(
            source,
            bucket=bucket,
            key=key,
            blob=blob,
            headers=source.headers if headers is None else kept_headers(headers),
            modified_at=self._clock.now(),
        )
        await self._publish(new)
        return new

    async def find_object(self, account: str, bucket: str, key: str) -> StoredObject:
        """Raises NoSuchKey."""
        async with self._database.begin() as connection:
            await _bucket(connection, account, bucket)
            found = await store.find_object(connection, account, bucket, key)
        if found is None:
            raise NoSuchKey(key)
        return found

    async def read(self, stored: StoredObject, span: Span) -> AsyncIterator[bytes]:
        """The bytes. Raises Unavailable when the object was replaced since it was found."""
        chunks = self._blobs.read(stored.blob, span.start, span.length)
        try:
            first = await anext(chunks, b"")
        except KeyError as error:
            raise _replaced() from error
        return _joined(first, chunks)

    async def delete_object(self, account: str, bucket: str, key: str) -> None:
        """Deleting what is not there is no error."""
        async with self._database.begin() as connection:
            await _bucket(connection, account, bucket)
            blob = await store.delete_object(connection, account, bucket, key)
        if blob:
            await self._blobs.delete(blob)

    async def list_entries(
        self, account: str, bucket: str, prefix: str, delimiter: str, after: str, size: int
    ) -> tuple[list[Entry], bool]:
        """Up to `size` lines whose names sort after `after`, and whether there are more."""
        entries: list[Entry] = []
        cursor = _past(after) if common_prefix(after, prefix, delimiter) == after else after
        async with self._database.begin() as connection:
            await _bucket(connection, account, bucket)
            while len(entries) <= size:
                found = await store.objects_after(connection, account, bucket, prefix, cursor, size + 1)
                for each in found:
                    group = common_prefix(each.key, prefix, delimiter)
                    cursor = each.key if group is None else _past(group)
                    entry = Entry(each.key, each) if group is None else Entry(group)
                    if not entries or entries[-1] != entry:
                        entries.append(entry)
                if len(found) <= size:
                    break
        return entries[:size], len(entries) > size

    async def fetch(self, account: str, bucket: str, key: str, path: Path) -> None:
        """Make the object a local file. Raises NotFound."""
        try:
            found = await self.find_object(account, bucket, key)
            await self._blobs.copy_to(found.blob, path)
        except (NotFound, KeyError) as error:
            raise NotFound(f"There is no object {key} in a bucket {bucket} of this account") from error

    async def _publish(self, new: StoredObject) -> None:
        try:
            async with self._database.begin() as connection:
                replaced = await store.put_object(connection, new)
        except IntegrityError as error:
            await self._blobs.delete(new.blob)
            raise NoSuchBucket(new.bucket) from error
        if replaced:
            await self._blobs.delete(replaced)


async def _bucket(connection: AsyncConnection, account: str, name: str) -> Bucket:
    found = await store.find_bucket(connection, account, name)
    if found is None:
        raise NoSuchBucket(name)
    return found


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _past(group: str) -> str:
    return group + LAST_CHARACTER


def _replaced() -> Unavailable:
    return Unavailable("The object was replaced a moment ago; please try again")
