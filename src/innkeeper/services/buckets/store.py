"""Buckets and objects in the database."""

from collections.abc import Sequence

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    and_,
    delete,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.services.buckets.model import LAST_CHARACTER, Bucket, StoredObject

# Keys are listed in the order of their UTF-8 bytes, whatever the database's language.
KEY = String(1024).with_variant(String(1024, collation="C"), "postgresql")

buckets = Table(
    "buckets",
    metadata,
    Column("account", String(12), nullable=False),
    Column("name", String(63), nullable=False),
    Column("region", String(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "name"),
)

bucket_configurations = Table(
    "bucket_configurations",
    metadata,
    Column("account", String(12), nullable=False),
    Column("bucket", String(63), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("account", "bucket", "kind"),
    ForeignKeyConstraint(["account", "bucket"], ["buckets.account", "buckets.name"], ondelete="CASCADE"),
)

# The foreign key keeps a bucket that has objects from being deleted, and objects from being put in no bucket.
objects = Table(
    "bucket_objects",
    metadata,
    Column("account", String(12), nullable=False),
    Column("bucket", String(63), nullable=False),
    Column("key", KEY, nullable=False),
    Column("blob", String(128), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("headers", JSON, nullable=False),
    Column("checksums", JSON, nullable=False),
    Column("modified_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "bucket", "key"),
    ForeignKeyConstraint(["account", "bucket"], ["buckets.account", "buckets.name"]),
)


async def add_bucket(connection: AsyncConnection, bucket: Bucket) -> None:
    """Raises IntegrityError when the account has one of that name."""
    await connection.execute(
        insert(buckets).values(
            account=bucket.account, name=bucket.name, region=bucket.region, created_at=bucket.created_at
        )
    )


async def find_bucket(connection: AsyncConnection, account: str, name: str) -> Bucket | None:
    query = select(buckets).where(buckets.c.account == account, buckets.c.name == name)
    row = (await connection.execute(query)).first()
    return None if row is None else Bucket(*row)


async def list_buckets(connection: AsyncConnection, account: str) -> list[Bucket]:
    query = select(buckets).where(buckets.c.account == account).order_by(buckets.c.name)
    return [Bucket(*row) for row in await connection.execute(query)]


async def delete_bucket(connection: AsyncConnection, account: str, name: str) -> bool:
    """False when there is none. Raises IntegrityError while it has objects."""
    statement = delete(buckets).where(buckets.c.account == account, buckets.c.name == name)
    return bool((await connection.execute(statement)).rowcount)


async def put_configuration(
    connection: AsyncConnection, account: str, bucket: str, kind: str, document: str
) -> None:
    values = {"account": account, "bucket": bucket, "kind": kind, "document": document}
    statement = upsert(connection, bucket_configurations).values(values)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account", "bucket", "kind"], set_={"document": document}
        )
    )


async def find_configuration(connection: AsyncConnection, account: str, bucket: str, kind: str) -> str | None:
    query = select(bucket_configurations.c.document).where(_configuration(account, bucket, kind))
    return (await connection.execute(query)).scalar_one_or_none()


async def delete_configuration(connection: AsyncConnection, account: str, bucket: str, kind: str) -> None:
    await connection.execute(delete(bucket_configurations).where(_configuration(account, bucket, kind)))


async def put_object(connection: AsyncConnection, new: StoredObject) -> str | None:
    """The blob that it replaces. Raises IntegrityError when there is no such bucket."""
    own = _object(new.account, new.bucket, new.key)
    old = await connection.execute(select(objects.c.blob).where(own).with_for_update())
    replaced = old.scalar_one_or_none()
    values = {
        "blob": new.blob,
        "size": new.size,
        "etag": new.etag,
        "headers": dict(new.headers),
        "checksums": dict(new.checksums),
        "modified_at": new.modified_at,
    }
    statement = upsert(connection, objects).values(
        account=new.account, bucket=new.bucket, key=new.key, **values
    )
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["account", "bucket", "key"], set_=values)
    )
    return replaced


async def find_object(
    connection: AsyncConnection, account: str, bucket: str, key: str
) -> StoredObject | None:
    row = (await connection.execute(select(objects).where(_object(account, bucket, key)))).first()
    return None if row is None else StoredObject(*row)


async def objects_after(
    connection: AsyncConnection, account: str, bucket: str, prefix: str, after: str, limit: int
) -> Sequence[StoredObject]:
    """Objects whose key begins with `prefix` and sorts after `after`, in order."""
    query = (
        select(objects)
        .where(
            objects.c.account == account,
            objects.c.bucket == bucket,
            objects.c.key >= prefix,
            objects.c.key < prefix + LAST_CHARACTER,
            objects.c.key > after,
        )
        .order_by(objects.c.key)
        .limit(limit)
    )
    return [StoredObject(*row) for row in await connection.execute(query)]


async def delete_object(connection: AsyncConnection, account: str, bucket: str, key: str) -> str | None:
    """The blob that nothing names any more."""
    statement = delete(objects).where(_object(account, bucket, key)).returning(objects.c.blob)
    return (await connection.execute(statement)).scalar_one_or_none()


def _object(account: str, bucket: str, key: str) -> ColumnElement[bool]:
    return and_(objects.c.account == account, objects.c.bucket == bucket, objects.c.key == key)


def _configuration(account: str, bucket: str, kind: str) -> ColumnElement[bool]:
    return and_(
        bucket_configurations.c.account == account,
        bucket_configurations.c.bucket == bucket,
        bucket_configurations.c.kind == kind,
    )
