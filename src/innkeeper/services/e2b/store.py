"""Tables and queries of template builds and their tags."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.services.e2b.build import Build, Tag

builds = Table(
    "e2b_builds",
    metadata,
    Column("account", String(12), nullable=False),
    Column("id", String(36), nullable=False),
    Column("name", String(50), nullable=False),
    Column("cpu_cores", Float),
    Column("memory_mib", Integer),
    Column("recipe", JSON),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "id"),
    Index(None, "account", "name"),
)

tags = Table(
    "e2b_tags",
    metadata,
    Column("account", String(12), nullable=False),
    Column("name", String(50), nullable=False),
    Column("tag", String(63), nullable=False),
    Column("build", String(36), nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "name", "tag", "build"),
)


async def insert_build(connection: AsyncConnection, build: Build) -> None:
    values = {column.name: getattr(build, column.name) for column in builds.columns}
    await connection.execute(insert(builds).values(values))


async def start_build(connection: AsyncConnection, build: Build, recipe: Mapping[str, Any]) -> None:
    mine = builds.c.account == build.account, builds.c.id == build.id
    await connection.execute(update(builds).where(*mine).values(recipe=recipe))


async def find_build(connection: AsyncConnection, account: str, id_: str) -> Build | None:
    query = select(builds).where(builds.c.account == account, builds.c.id == id_)
    row = (await connection.execute(query)).mappings().first()
    return Build(**row) if row else None


async def list_builds(connection: AsyncConnection, account: str, name: str | None = None) -> Sequence[Build]:
    """Newest first, of one template or of all."""
    query = select(builds).where(builds.c.account == account)
    if name is not None:
        query = query.where(builds.c.name == name)
    rows = (await connection.execute(query.order_by(builds.c.created_at.desc(), builds.c.id))).mappings()
    return [Build(**row) for row in rows]


async def delete_build(connection: AsyncConnection, build: Build) -> None:
    """With its tags."""
    await connection.execute(delete(builds).where(builds.c.account == build.account, builds.c.id == build.id))
    await connection.execute(delete(tags).where(tags.c.account == build.account, tags.c.build == build.id))


async def put_tags(connection: AsyncConnection, build: Build, names: Sequence[str], now: datetime) -> None:
    """They are this build's from now on."""
    mine = tags.c.account == build.account, tags.c.name == build.name, tags.c.build == build.id
    await connection.execute(delete(tags).where(*mine, tags.c.tag.in_(names)))
    rows = [
        {"account": build.account, "name": build.name, "tag": tag, "build": build.id, "created_at": now}
        for tag in names
    ]
    await connection.execute(insert(tags), rows)


async def list_tags(connection: AsyncConnection, account: str, name: str) -> Sequence[Tag]:
    """Newest first: of a tag that was given to several builds, all."""
    query = select(tags.c.tag, tags.c.build, tags.c.created_at).where(
        tags.c.account == account, tags.c.name == name
    )
    return [Tag(*row) for row in await connection.execute(query.order_by(tags.c.created_at.desc()))]


async def delete_tags(connection: AsyncConnection, account: str, name: str, names: Sequence[str]) -> None:
    wanted = tags.c.account == account, tags.c.name == name, tags.c.tag.in_(names)
    await connection.execute(delete(tags).where(*wanted))
