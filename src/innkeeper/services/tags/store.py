"""Tags in the database."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Column, PrimaryKeyConstraint, String, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import metadata, upsert

tags = Table(
    "tags",
    metadata,
    Column("account", String(12), nullable=False),
    Column("resource_arn", String(1011), nullable=False),
    Column("key", String(128), nullable=False),
    Column("value", String(256), nullable=False),
    PrimaryKeyConstraint("account", "resource_arn", "key"),
)


async def put(connection: AsyncConnection, account: str, resource_arn: str, new: Mapping[str, str]) -> None:
    statement = upsert(connection, tags)
    statement = statement.on_conflict_do_update(
        index_elements=["account", "resource_arn", "key"], set_={"value": statement.excluded.value}
    )
    rows = [
        {"account": account, "resource_arn": resource_arn, "key": key, "value": value}
        for key, value in sorted(new.items())
    ]
    await connection.execute(statement, rows)


async def of_resource(connection: AsyncConnection, account: str, resource_arn: str) -> dict[str, str]:
    query = (
        select(tags.c.key, tags.c.value)
        .where(tags.c.account == account, tags.c.resource_arn == resource_arn)
        .order_by(tags.c.key)
    )
    return {row.key: row.value for row in await connection.execute(query)}


async def remove(connection: AsyncConnection, account: str, resource_arn: str, keys: Iterable[str]) -> None:
    await connection.execute(
        delete(tags).where(
            tags.c.account == account, tags.c.resource_arn == resource_arn, tags.c.key.in_(list(keys))
        )
    )


async def delete_all(connection: AsyncConnection, account: str, resource_arn: str) -> None:
    await connection.execute(
        delete(tags).where(tags.c.account == account, tags.c.resource_arn == resource_arn)
    )
