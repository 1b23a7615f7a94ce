"""Records on their way to the database."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import SQLAlchemyError

from innkeeper.engines.store.database import Database, metadata
from innkeeper.services.model_gateway import ledger as ledger_module
from innkeeper.services.model_gateway import store
from innkeeper.services.model_gateway.ledger import Ledger
from innkeeper.services.model_gateway.model import ModelCall
from tests.services.model_gateway.conftest import ACCOUNT


def record(number: int) -> ModelCall:
    return ModelCall(
        account=ACCOUNT,
        id=f"call-{number}",
        at=datetime.now(UTC),
        model_id="m",
        provider="p",
        provider_model="pm",
        principal="arn:aws:iam::123456789012:root",
        agent="",
        session="",
        input_tokens=1,
        output_tokens=1,
        cache_read_tokens=0,
        cache_write_tokens=0,
        first_token_ms=None,
        latency_ms=5,
        stop_reason="end_turn",
        error_code="",
    )


async def calls_in(database: Database) -> int:
    async with database.begin() as connection:
        return sum(usage.calls for usage in await store.usage(connection, ACCOUNT, None, None))


async def test_more_than_one_batch_is_written(database: Database) -> None:
    ledger = Ledger(database)
    for number in range(1200):
        ledger.record(record(number))
    await asyncio.gather(ledger.flush(), ledger.flush())
    assert await calls_in(database) == 1200
    await ledger.close()


async def test_a_record_written_twice_counts_once(database: Database) -> None:
    ledger = Ledger(database)
    ledger.record(record(1))
    await ledger.flush()
    ledger.record(record(1))
    await ledger.close()
    assert await calls_in(database) == 1


async def test_records_wait_while_the_database_fails(database: Database) -> None:
    async with database.begin() as connection:
        await connection.run_sync(metadata.drop_all, tables=[store.model_calls])
    ledger = Ledger(database)
    ledger.record(record(1))
    with pytest.raises(SQLAlchemyError):
        await ledger.flush()
    async with database.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await ledger.close()
    assert await calls_in(database) == 1


async def test_the_queue_is_bounded_and_closing_ends(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(ledger_module, "_CAPACITY", 2)
    async with database.begin() as connection:
        await connection.run_sync(metadata.drop_all, tables=[store.model_calls])
    ledger = Ledger(database)
    for number in range(3):
        ledger.record(record(number))
    assert "lost" in caplog.text
    await asyncio.wait_for(ledger.close(), 30)
    assert "cannot be written" in caplog.text
