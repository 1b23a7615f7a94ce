"""Tables and queries of runtimes, versions and endpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.services.runtime.model import (
    AgentRuntime,
    Endpoint,
    RuntimeVersion,
    Status,
)

SEALED_ENVIRONMENT = VaultSealed("{account}/runtime/{runtime_id}/environment")

runtimes = Table(
    "agent_runtimes",
    metadata,
    Column("account", String(12), nullable=False),
    Column("id", String(128), nullable=False),
    Column("name", String(64), nullable=False),
    Column("arn", Text, nullable=False),
    Column("latest_version", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("failure_reason", Text),
    Column("description", Text),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "id"),
    UniqueConstraint("account", "name"),
)

versions = Table(
    "agent_runtime_versions",
    metadata,
    Column("account", String(12), nullable=False),
    Column("runtime_id", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("configuration", JSON, nullable=False),
    Column("environment", SEALED_ENVIRONMENT),
    Column("status", String(16), nullable=False),
    Column("failure_reason", Text),
    Column("build", String(128)),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "runtime_id", "number"),
)

endpoints = Table(
    "agent_runtime_endpoints",
    metadata,
    Column("account", String(12), nullable=False),
    Column("runtime_id", String(128), nullable=False),
    Column("name", String(64), nullable=False),
    Column("id", String(128), nullable=False),
    Column("arn", Text, nullable=False),
    Column("runtime_arn", Text, nullable=False),
    Column("live_version", Integer),
    Column("target_version", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("failure_reason", Text),
    Column("description", Text),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "runtime_id", "name"),
)


RUNTIMES = Cursor("agent runtimes", str)
VERSIONS = Cursor("versions of an agent runtime", int)
ENDPOINTS = Cursor("endpoints of an agent runtime", str)


async def insert_runtime(connection: AsyncConnection, runtime: AgentRuntime) -> None:
    await connection.execute(insert(runtimes).values(asdict(runtime)))


async def find_runtime(
    connection: AsyncConnection, account: str, runtime_id: str, lock: bool = False
) -> AgentRuntime | None:
    """`lock` keeps others from changing it until the transaction ends (SQLite has one writer anyway)."""
    query = select(runtimes).where(*_is_runtime(account, runtime_id))
    row = (await connection.execute(query.with_for_update() if lock else query)).mappings().first()
    return _runtime(row) if row else None


async def list_runtimes(
    connection: AsyncConnection, account: str, page: PageRequest
) -> Sequence[AgentRuntime]:
    query = select(runtimes).where(runtimes.c.account == account).order_by(runtimes.c.id).limit(page.size + 1)
    if after := RUNTIMES.after(page):
        query = query.where(runtimes.c.id > after[0])
    return [_runtime(row) for row in (await connection.execute(query)).mappings()]


async def list_unsettled(connection: AsyncConnection) -> Sequence[AgentRuntime]:
    """Runtimes of every account in the middle of a transition: what a crash may have left."""
    states = [Status.CREATING, Status.UPDATING, Status.DELETING]
    query = select(runtimes).where(runtimes.c.status.in_(states))
    return [_runtime(row) for row in (await connection.execute(query)).mappings()]


async def update_runtime(
    connection: AsyncConnection, account: str, runtime_id: str, values: Mapping[str, Any]
) -> None:
    await connection.execute(update(runtimes).where(*_is_runtime(account, runtime_id)).values(values))


async def delete_runtime(connection: AsyncConnection, account: str, runtime_id: str) -> None:
    for table in (endpoints, versions):
        await connection.execute(
            delete(table).where(table.c.account == account, table.c.runtime_id == runtime_id)
        )
    await connection.execute(delete(runtimes).where(*_is_runtime(account, runtime_id)))


async def insert_version(connection: AsyncConnection, version: RuntimeVersion) -> None:
    await connection.execute(insert(versions).values(asdict(version)))


async def find_version(
    connection: AsyncConnection, account: str, runtime_id: str, number: int
) -> RuntimeVersion | None:
    query = select(versions).where(*_is_version(account, runtime_id, number))
    row = (await connection.execute(query)).mappings().first()
    return _version(row) if row else None


async def list_versions(
    connection: AsyncConnection, account: str, runtime_id: str, page: PageRequest
) -> Sequence[RuntimeVersion]:
    """Newest first."""
    query = (
        select(versions)
        .where(versions.c.account == account, versions.c.runtime_id == runtime_id)
        .order_by(versions.c.number.desc())
        .limit(page.size + 1)
    )
    if after := VERSIONS.of(account, runtime_id).after(page):
        query = query.where(versions.c.number < after[0])
    return [_version(row) for row in (await connection.execute(query)).mappings()]


async def update_version(
    connection: AsyncConnection, account: str, runtime_id: str, number: int, values: Mapping[str, Any]
) -> None:
    await connection.execute(update(versions).where(*_is_version(account, runtime_id, number)).values(values))


async def delete_version(connection: AsyncConnection, account: str, runtime_id: str, number: int) -> None:
    await connection.execute(delete(versions).where(*_is_version(account, runtime_id, number)))


async def list_builds(connection: AsyncConnection) -> set[str]:
    """The digests of all builds that some version of some account still needs."""
    query = select(versions.c.build).where(versions.c.build.is_not(None))
    return set((await connection.execute(query)).scalars())


async def insert_endpoint(connection: AsyncConnection, endpoint: Endpoint) -> None:
    await connection.execute(insert(endpoints).values(asdict(endpoint)))


async def find_endpoint(
    connection: AsyncConnection, account: str, runtime_id: str, name: str
) -> Endpoint | None:
    query = select(endpoints).where(*_is_endpoint(account, runtime_id, name))
    row = (await connection.execute(query)).mappings().first()
    return _endpoint(row) if row else None


async def list_endpoints(
    connection: AsyncConnection, account: str, runtime_id: str, page: PageRequest
) -> Sequence[Endpoint]:
    query = (
        select(endpoints)
        .where(endpoints.c.account == account, endpoints.c.runtime_id == runtime_id)
        .order_by(endpoints.c.name)
        .limit(page.size + 1)
    )
    if after := ENDPOINTS.of(account, runtime_id).after(page):
        query = query.where(endpoints.c.name > after[0])
    return [_endpoint(row) for row in (await connection.execute(query)).mappings()]


async def update_endpoint(
    connection: AsyncConnection, account: str, runtime_id: str, name: str, values: Mapping[str, Any]
) -> None:
    await connection.execute(update(endpoints).where(*_is_endpoint(account, runtime_id, name)).values(values))


async def delete_endpoint(connection: AsyncConnection, account: str, runtime_id: str, name: str) -> None:
    await connection.execute(delete(endpoints).where(*_is_endpoint(account, runtime_id, name)))


def _is_runtime(account: str, runtime_id: str) -> tuple[Any, ...]:
    return runtimes.c.account == account, runtimes.c.id == runtime_id


def _is_version(account: str, runtime_id: str, number: int) -> tuple[Any, ...]:
    return versions.c.account == account, versions.c.runtime_id == runtime_id, versions.c.number == number


def _is_endpoint(account: str, runtime_id: str, name: str) -> tuple[Any, ...]:
    return endpoints.c.account == account, endpoints.c.runtime_id == runtime_id, endpoints.c.name == name


def _runtime(row: RowMapping) -> AgentRuntime:
    return AgentRuntime(**{**row, "status": Status(row["status"])})


def _version(row: RowMapping) -> RuntimeVersion:
    return RuntimeVersion(**{**row, "status": Status(row["status"])})


def _endpoint(row: RowMapping) -> Endpoint:
    return Endpoint(**{**row, "status": Status(row["status"])})
