"""Uploads and their parts in the database."""

from collections.abc import Sequence

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.services.buckets.model import Part, Upload
from innkeeper.services.buckets.store import KEY

uploads = Table(
    "bucket_uploads",
    metadata,
    Column("upload_id", String(64), nullable=False),
    Column("account", String(12), nullable=False),
    Column("bucket", String(63), nullable=False),
    Column("key", KEY, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "upload_id"),
    ForeignKeyConstraint(["account", "bucket"], ["buckets.account", "buckets.name"], ondelete="CASCADE"),
)

parts = Table(
    "bucket_upload_parts",
    metadata,
    Column("account", String(12), nullable=False),
    Column("upload_id", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("blob", String(128), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("modified_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "upload_id", "number"),
    ForeignKeyConstraint(
        ["account", "upload_id"], ["bucket_uploads.account", "bucket_uploads.upload_id"], ondelete="CASCADE"
    ),
)


async def add_upload(connection: AsyncConnection, upload: Upload) -> None:
    """Raises IntegrityError when there is no such bucket."""
    await connection.execute(
        insert(uploads).values(
            upload_id=upload.upload_id,
            account=upload.account,
            bucket=upload.bucket,
            key=upload.key,
            headers=dict(upload.headers),
            created_at=upload.created_at,
        )
    )


async def find_upload(connection: AsyncConnection, account: str, upload_id: str) -> Upload | None:
    query = select(uploads).where(uploads.c.account == account, uploads.c.upload_id == upload_id)
    row = (await connection.execute(query)).first()
    return None if row is None else Upload(*row)


async def delete_upload(connection: AsyncConnection, account: str, upload_id: str) -> bool:
    """Its parts go too. False when there is none."""
    statement = delete(uploads).where(uploads.c.account == account, uploads.c.upload_id == upload_id)
    return bool((await connection.execute(statement)).rowcount)


async def put_part(connection: AsyncConnection, account: str, upload_id: str, part: Part) -> str | None:
    """The blob that it replaces. Raises IntegrityError when there is no such upload."""
    query = select(parts.c.blob).where(
        parts.c.account == account, parts.c.upload_id == upload_id, parts.c.number == part.number
    )
    replaced = (await connection.execute(query.with_for_update())).scalar_one_or_none()
    values = {
        "blob": part.blob,
        "size": part.size,
        "etag": part.etag,
        "modified_at": part.modified_at,
    }
    statement = upsert(connection, parts).values(
        account=account, upload_id=upload_id, number=part.number, **values
    )
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["account", "upload_id", "number"], set_=values)
    )
    return replaced


async def parts_of(connection: AsyncConnection, account: str, upload_id: str) -> list[Part]:
    """By number."""
    query = (
        select(parts.c.number, parts.c.blob, parts.c.size, parts.c.etag, parts.c.modified_at)
        .where(parts.c.account == account, parts.c.upload_id == upload_id)
        .order_by(parts.c.number)
    )
    return [Part(*row) for row in await connection.execute(query)]


async def part_blobs(connection: AsyncConnection, account: str, bucket: str) -> Sequence[str]:
    """Blobs of all parts of all uploads to a bucket."""
    query = (
        select(parts.c.blob)
        .join(uploads, (uploads.c.account == parts.c.account) & (uploads.c.upload_id == parts.c.upload_id))
        .where(uploads.c.account == account, uploads.c.bucket == bucket)
    )
    return (await connection.execute(query)).scalars().all()
