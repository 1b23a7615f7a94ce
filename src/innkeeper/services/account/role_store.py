"""Roles, their inline policies, managed policies and attachments in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Integer,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.services.account.model import ManagedPolicy, Role

roles = Table(
    "roles",
    metadata,
    Column("account", String(12), nullable=False),
    Column("name", String(64), nullable=False),
    Column("role_id", String(20), nullable=False),
    Column("path", String(512), nullable=False),
    Column("trust", Text, nullable=False),
    Column("max_session_seconds", Integer, nullable=False),
    Column("details", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "name"),
)

role_policies = Table(
    "role_policies",
    metadata,
    Column("account", String(12), nullable=False),
    Column("role", String(64), nullable=False),
    Column("name", String(128), nullable=False),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("account", "role", "name"),
)

managed_policies = Table(
    "managed_policies",
    metadata,
    Column("account", String(12), nullable=False),
    Column("arn", String(2048), nullable=False),
    Column("name", String(128), nullable=False),
    Column("policy_id", String(20), nullable=False),
    Column("path", String(512), nullable=False),
    Column("document", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "arn"),
)

role_attachments = Table(
    "role_attachments",
    metadata,
    Column("account", String(12), nullable=False),
    Column("role", String(64), nullable=False),
    Column("policy_arn", String(2048), nullable=False),
    PrimaryKeyConstraint("account", "role", "policy_arn"),
)

ROLES = Cursor("roles", str)


async def add_role(connection: AsyncConnection, role: Role) -> None:
    """Raises IntegrityError when the account has one of that name."""
    await connection.execute(
        insert(roles).values(
            account=role.account,
            name=role.name,
            role_id=role.role_id,
            path=role.path,
            trust=role.trust,
            max_session_seconds=role.max_session_seconds,
            details=dict(role.details),
            created_at=role.created_at,
        )
    )


async def find_role(connection: AsyncConnection, account: str, name: str) -> Role | None:
    row = (await connection.execute(select(roles).where(_role(account, name)))).first()
    return None if row is None else Role(*row)


async def list_roles(
    connection: AsyncConnection, account: str, path_prefix: str, page: PageRequest
) -> list[Role]:
    """One more than the page holds, by name."""
    (after,) = ROLES.after(page) or ("",)
    query = (
        select(roles)
        .where(
            roles.c.account == account,
            roles.c.name > after,
            func.substr(roles.c.path, 1, len(path_prefix)) == path_prefix,
        )
        .order_by(roles.c.name)
        .limit(page.size + 1)
    )
    return [Role(*row) for row in await connection.execute(query)]


async def set_trust(connection: AsyncConnection, account: str, name: str, trust: str) -> None:
    await connection.execute(update(roles).where(_role(account, name)).values(trust=trust))


async def delete_role(connection: AsyncConnection, account: str, name: str) -> None:
    await connection.execute(delete(roles).where(_role(account, name)))


async def put_inline(connection: AsyncConnection, account: str, role: str, name: str, document: str) -> None:
    values = {"account": account, "role": role, "name": name, "document": document}
    statement = upsert(connection, role_policies).values(values)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account", "role", "name"], set_={"document": document}
        )
    )


async def inline_policies(connection: AsyncConnection, account: str, role: str) -> dict[str, str]:
    """Documents by policy name, in the order of the names."""
    query = (
        select(role_policies.c.name, role_policies.c.document)
        .where(role_policies.c.account == account, role_policies.c.role == role)
        .order_by(role_policies.c.name)
    )
    return {row.name: row.document for row in await connection.execute(query)}


async def delete_inline(connection: AsyncConnection, account: str, role: str, name: str) -> bool:
    statement = delete(role_policies).where(
        role_policies.c.account == account, role_policies.c.role == role, role_policies.c.name == name
    )
    return bool((await connection.execute(statement)).rowcount)


async def add_managed(connection: AsyncConnection, policy: ManagedPolicy) -> None:
    """Raises IntegrityError when the account has one of that ARN."""
    await connection.execute(
        insert(managed_policies).values(
            account=policy.account,
            arn=policy.arn,
            name=policy.name,
            policy_id=policy.policy_id,
            path=policy.path,
            document=policy.document,
            details=dict(policy.details),
            created_at=policy.created_at,
        )
    )


async def find_managed(connection: AsyncConnection, account: str, arn: str) -> ManagedPolicy | None:
    attachments = (
        select(func.count())
        .where(role_attachments.c.account == account, role_attachments.c.policy_arn == arn)
        .scalar_subquery()
    )
    query = select(managed_policies, attachments.label("attachments")).where(_managed(account, arn))
    row = (await connection.execute(query)).first()
    return None if row is None else _managed_policy(row)


async def delete_managed(connection: AsyncConnection, account: str, arn: str) -> None:
    await connection.execute(delete(managed_policies).where(_managed(account, arn)))


async def attach(connection: AsyncConnection, account: str, role: str, arn: str) -> None:
    values = {"account": account, "role": role, "policy_arn": arn}
    await connection.execute(upsert(connection, role_attachments).values(values).on_conflict_do_nothing())


async def detach(connection: AsyncConnection, account: str, role: str, arn: str) -> bool:
    statement = delete(role_attachments).where(_attached(account, role), role_attachments.c.policy_arn == arn)
    return bool((await connection.execute(statement)).rowcount)


async def attached_arns(connection: AsyncConnection, account: str, role: str) -> Sequence[str]:
    query = (
        select(role_attachments.c.policy_arn)
        .where(_attached(account, role))
        .order_by(role_attachments.c.policy_arn)
    )
    return (await connection.execute(query)).scalars().all()


async def attached_documents(connection: AsyncConnection, account: str, role: str) -> Sequence[str]:
    query = (
        select(managed_policies.c.document)
        .join(
            role_attachments,
            and_(
                role_attachments.c.account == managed_policies.c.account,
                role_attachments.c.policy_arn == managed_policies.c.arn,
            ),
        )
        .where(_attached(account, role))
    )
    return (await connection.execute(query)).scalars().all()


def _role(account: str, name: str) -> ColumnElement[bool]:
    return and_(roles.c.account == account, roles.c.name == name)


def _managed(account: str, arn: str) -> ColumnElement[bool]:
    return and_(managed_policies.c.account == account, managed_policies.c.arn == arn)


def _attached(account: str, role: str) -> ColumnElement[bool]:
    return and_(role_attachments.c.account == account, role_attachments.c.role == role)


def _managed_policy(row: Row[Any]) -> ManagedPolicy:
    return ManagedPolicy(
        row.account,
        row.name,
        row.policy_id,
        row.path,
        row.document,
        row.details,
        row.created_at,
        row.attachments,
    )
