"""Model calls in the database."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, cast, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.services.model_gateway.model import ModelCall, ModelUsage

model_calls = Table(
    "model_calls",
    metadata,
    Column("account", String(12), nullable=False),
    Column("id", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("model_id", String(2048), nullable=False),
    Column("provider", String(256), nullable=False),
    Column("provider_model", String(2048), nullable=False),
    Column("principal", String(2048), nullable=False),
    Column("agent", String(256), nullable=False),
    Column("session", String(256), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("first_token_ms", Integer),
    Column("latency_ms", Integer, nullable=False),
    Column("stop_reason", String(64), nullable=False),
    Column("error_code", String(64), nullable=False),
    Index(None, "account", "agent", "session"),
)


async def add_calls(connection: AsyncConnection, calls: Sequence[ModelCall]) -> None:
    """Adding a call again does nothing."""
    statement = upsert(connection, model_calls).on_conflict_do_nothing()
    await connection.execute(statement, [asdict(call) for call in calls])


async def delete_before(connection: AsyncConnection, moment: datetime) -> int:
    """Those of all tenants; how many."""
    return (await connection.execute(delete(model_calls).where(model_calls.c.at < moment))).rowcount


async def usage(
    connection: AsyncConnection, account: str, agent: str | None, session: str | None
) -> list[ModelUsage]:
    calls = model_calls.c
    group = (calls.agent, calls.model_id, calls.provider, calls.provider_model)
    tokens = (
        calls.input_tokens,
        calls.output_tokens,
        calls.cache_read_tokens,
        calls.cache_write_tokens,
    )
    query = select(
        *group,
        func.count().label("calls"),
        func.count().filter(calls.error_code != "").label("errors"),
        *(cast(func.sum(column), BigInteger).label(column.name) for column in tokens),
        cast(func.avg(calls.first_token_ms), Float).label("first_token_ms"),
        cast(func.avg(calls.latency_ms), Float).label("latency_ms"),
    ).where(calls.account == account)
    if agent is not None:
        query = query.where(calls.agent == agent)
    if session is not None:
        query = query.where(calls.session == session)
    rows = await connection.execute(query.group_by(*group).order_by(*group))
    return [ModelUsage(**row) for row in rows.mappings()]
