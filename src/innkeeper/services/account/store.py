"""Accounts, access keys and role sessions in the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Row,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.services.account.model import AccessKey, RoleSession

SEALED = VaultSealed("{account}/access-key/{access_key_id}")

accounts = Table(
    "accounts",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("name", String(128), nullable=False),
    # True for the first account and NULL for all others: unique, so that there is only one first.
    Column("operator", Boolean, unique=True),
    Column("created_at", Moment, nullable=False),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("access_key_id", String(20), primary_key=True),
    Column("account", String(12), nullable=False, index=True),
    Column("sealed_secret", SEALED, nullable=False),
    Column("description", String(256), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
)

role_sessions = Table(
    "role_sessions",
    metadata,
    Column("access_key_id", String(20), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("sealed", SEALED, nullable=False),
    Column("role", String(64), nullable=False),
    Column("role_arn", String(2048), nullable=False),
    Column("session_name", String(64), nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)


async def add_operator_account(connection: AsyncConnection, account: str, now: datetime) -> bool:
    """False when there is one already."""
    values = {"account": account, "name": "operator", "operator": True, "created_at": now}
    statement = upsert(connection, accounts).values(values).on_conflict_do_nothing()
    return (await connection.execute(statement.returning(accounts.c.account))).first() is not None


async def operator_account(connection: AsyncConnection) -> str | None:
    found = await connection.execute(select(accounts.c.account).where(accounts.c.operator))
    return found.scalar_one_or_none()


async def add_account(connection: AsyncConnection, account: str, name: str, now: datetime) -> None:
    await connection.execute(insert(accounts).values(account=account, name=name, created_at=now))


async def account_exists(connection: AsyncConnection, account: str) -> bool:
    found = await connection.execute(select(accounts.c.account).where(accounts.c.account == account))
    return found.first() is not None


async def add_key(connection: AsyncConnection, key: AccessKey, sealed_secret: bytes) -> None:
    await connection.execute(
        insert(access_keys).values(
            access_key_id=key.access_key_id,
            account=key.account,
            sealed_secret=sealed_secret,
            description=key.description,
            active=key.active,
            created_at=key.created_at,
        )
    )


async def find_key(connection: AsyncConnection, access_key_id: str) -> tuple[AccessKey, bytes] | None:
    query = select(access_keys).where(access_keys.c.access_key_id == access_key_id)
    row = (await connection.execute(query)).first()
    return None if row is None else (_key(row), row.sealed_secret)


async def keys_of(connection: AsyncConnection, account: str) -> list[AccessKey]:
    """Oldest first."""
    query = (
        select(access_keys)
        .where(access_keys.c.account == account)
        .order_by(access_keys.c.created_at, access_keys.c.access_key_id)
    )
    return [_key(row) for row in await connection.execute(query)]


async def set_key_active(connection: AsyncConnection, account: str, access_key_id: str, active: bool) -> bool:
    """False when the account has no such key."""
    statement = update(access_keys).where(*_own_key(account, access_key_id)).values(active=active)
    return bool((await connection.execute(statement)).rowcount)


async def delete_key(connection: AsyncConnection, account: str, access_key_id: str) -> bool:
    """False when the account has no such key."""
    statement = delete(access_keys).where(*_own_key(account, access_key_id))
    return bool((await connection.execute(statement)).rowcount)


async def add_session(connection: AsyncConnection, session: RoleSession, sealed: bytes) -> None:
    await connection.execute(
        insert(role_sessions).values(
            access_key_id=session.access_key_id,
            account=session.account,
            sealed=sealed,
            role=session.role,
            role_arn=session.role_arn,
            session_name=session.session_name,
            expires_at=session.expires_at,
        )
    )


async def find_session(connection: AsyncConnection, access_key_id: str) -> tuple[RoleSession, bytes] | None:
    """The session with its sealed `SECRET:TOKEN`."""
    query = select(role_sessions).where(role_sessions.c.access_key_id == access_key_id)
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    session = RoleSession(
        row.access_key_id, row.account, row.role, row.role_arn, row.session_name, row.expires_at
    )
    return session, row.sealed


async def delete_session(connection: AsyncConnection, access_key_id: str) -> None:
    await connection.execute(delete(role_sessions).where(role_sessions.c.access_key_id == access_key_id))


async def delete_sessions_of_role(connection: AsyncConnection, account: str, role: str) -> None:
    await connection.execute(
        delete(role_sessions).where(role_sessions.c.account == account, role_sessions.c.role == role)
    )


async def delete_expired_sessions(connection: AsyncConnection, before: datetime) -> int:
    result = await connection.execute(delete(role_sessions).where(role_sessions.c.expires_at < before))
    return result.rowcount


def _own_key(account: str, access_key_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return access_keys.c.account == account, access_keys.c.access_key_id == access_key_id


def _key(row: Row[Any]) -> AccessKey:
    return AccessKey(row.access_key_id, row.account, row.description, row.active, row.created_at)
