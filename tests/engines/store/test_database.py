"""Transactions and values that mean the same on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, select
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from innkeeper.engines.store.database import Database, Moment, upsert
from tests.postgres import PostgresServer

own = MetaData()
stays = Table("stays", own, Column("id", Integer, primary_key=True), Column("since", Moment))
# Some tenths of a second.
_SLOW = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000000) "
    "SELECT x FROM n WHERE x > 2900000"
)
NOW = datetime(2025, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> Database:
    return await opened(database_url)


async def opened(url: str) -> Database:
    database = Database(url)
    async with database.begin() as connection:
        await connection.run_sync(own.create_all)
    return database


async def rows(database: Database) -> list[tuple[int, datetime | None]]:
    async with database.begin() as connection:
        return [(row.id, row.since) for row in await connection.execute(select(stays).order_by(stays.c.id))]


async def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(stays.insert().values(id=1, since=NOW))
    with pytest.raises(ZeroDivisionError):
        async with database.begin() as connection:
            await connection.execute(stays.insert().values(id=2))
            raise ZeroDivisionError
    assert await rows(database) == [(1, NOW)]
    await database.close()


async def test_an_upsert_is_spelled_once(database: Database) -> None:
    later = NOW + timedelta(hours=1)
    for since in (NOW, later):
        async with database.begin() as connection:
            insert = upsert(connection, stays).values(id=1, since=since)
            await connection.execute(
                insert.on_conflict_do_update(index_elements=["id"], set_={"since": since})
            )
            await connection.execute(upsert(connection, stays).values(id=1).on_conflict_do_nothing())
    assert await rows(database) == [(1, later)]
    await database.close()


async def test_writers_wait_for_each_other(database: Database) -> None:
    async def insert(number: int) -> None:
        async with database.begin() as connection:
            await connection.execute(stays.insert().values(id=number))
            await asyncio.sleep(0.01)

    await asyncio.gather(*(insert(number) for number in range(10)))
    assert len(await rows(database)) == 10
    await database.close()


async def test_a_reader_that_is_cancelled_leaves_no_lock(database: Database) -> None:
    async def write_and_read() -> None:
        async with database.begin() as connection:
            await connection.execute(stays.insert().values(id=1))
            await connection.exec_driver_sql(_SLOW)

    task = asyncio.create_task(write_and_read())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The task is there still, and with it the statement.
    async with asyncio.timeout(20), database.begin() as connection:
        await connection.execute(stays.insert().values(id=2))
    assert [id_ for id_, _ in await rows(database)] == [2]
    await database.close()


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in-another-database"])
async def test_what_was_deleted_leaves_the_files_once_older_transactions_ended(
    postgres: PostgresServer, elsewhere: bool
) -> None:
    database = await opened(postgres.new_database())
    other = await opened(postgres.new_database()) if elsewhere else database
    async with database.begin() as connection:
        await connection.execute(stays.insert(), [{"id": number} for number in range(1000)])
    async with other.begin() as older:
        await older.execute(stays.insert().values(id=-1))
        async with database.begin() as connection:
            await connection.execute(stays.delete().where(stays.c.id >= 0))
        rewriting = asyncio.create_task(database.rewrite("stays"))
        done, _ = await asyncio.wait({rewriting}, timeout=0.5)
        assert not done
    await rewriting
    async with database.begin() as connection:
        size = (await connection.exec_driver_sql("SELECT pg_relation_size('stays')")).scalar()
    assert size == (0 if elsewhere else 8192)  # the row of the older transaction
    await database.close()
    await other.close()


@given(
    st.datetimes(
        datetime(1970, 1, 2),
        datetime(2099, 1, 1),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
    )
)
def test_a_moment_comes_back_to_the_microsecond(value: datetime) -> None:
    moment, dialect = Moment(), SQLiteDialect()
    kept = moment.process_bind_param(value, dialect)
    assert moment.process_result_value(kept, dialect) == value
