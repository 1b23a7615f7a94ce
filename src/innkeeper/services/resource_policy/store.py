"""Resource policies in the database."""

from sqlalchemy import Column, PrimaryKeyConstraint, String, Table, Text, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import metadata, upsert

resource_policies = Table(
    "resource_policies",
    metadata,
    Column("account", String(12), nullable=False),
    Column("resource_arn", String(1011), nullable=False),
    Column("policy", Text, nullable=False),
    PrimaryKeyConstraint("account", "resource_arn"),
)


async def put(connection: AsyncConnection, account: str, resource_arn: str, policy: str) -> None:
    values = {"account": account, "resource_arn": resource_arn, "policy": policy}
    statement = upsert(connection, resource_policies).values(values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["account", "resource_arn"], set_={"policy": policy})
    )


async def find(connection: AsyncConnection, account: str, resource_arn: str) -> str | None:
    query = select(resource_policies.c.policy).where(
        resource_policies.c.account == account, resource_policies.c.resource_arn == resource_arn
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def remove(connection: AsyncConnection, account: str, resource_arn: str) -> bool:
    """False when there was none."""
    statement = delete(resource_policies).where(
        resource_policies.c.account == account, resource_policies.c.resource_arn == resource_arn
    )
    return bool((await connection.execute(statement)).rowcount)
