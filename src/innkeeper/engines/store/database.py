"""The database: SQLite (WAL) or PostgreSQL through one code path, SQLAlchemy Core."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from copy import copy
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Connection, Engine, MetaData, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from innkeeper.engines.store.migration import is_current, upgrade
from innkeeper.kernel.errors import Unavailable

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
)


Result = TypeVar("Result")

_SEEN_SECONDS = 60.0
_LOOK_SECONDS = 0.05
# Whether rows that were deleted before must stay: a transaction that is older still runs, be it in another
# database, or somebody (a reader here, a standby, the slot of one) sees what was there when it did.
_SEEN_SINCE = text("""
    SELECT pg_snapshot_xmin(pg_current_snapshot()) < CAST(:since AS xid8)
    OR EXISTS (SELECT FROM pg_stat_activity WHERE coalesce(datname, current_database()) = current_database()
        AND pid <> pg_backend_pid() AND age(backend_xmin) > age(xid(CAST(:since AS xid8))))
    OR EXISTS (SELECT FROM pg_replication_slots WHERE age(xmin) > age(xid(CAST(:since AS xid8))))
""")


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as microseconds since the epoch: the same on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC)


class Database:
    """Transactions on one database. `begin` commits on leaving, rolls back on an exception."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: AsyncEngine = create_async_engine(url)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine.sync_engine, "connect", _tune_sqlite)
            event.listen(self._engine.sync_engine, "invalidate", _roll_back)
        self._threads = _engine_for_threads(url)

    def carrying(self, **options: object) -> "Database":
        """The same database, whose connections have these among their execution options."""
        other = copy(self)
        other._engine = self._engine.execution_options(**options)
        other._threads = self._threads.execution_options(**options)
        return other

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.begin() as connection:
            yield connection

    async def in_thread(self, work: Callable[[Connection], Result]) -> Result:
        """A transaction of many statements in one go, in a thread: less waiting between them. On SQLite it
        holds the write lock from its beginning, so that what it has read stays true."""

        def run() -> Result:
            with self._threads.begin() as connection:
                return work(connection)

        return await asyncio.to_thread(run)

    async def scrub(self, *tables: Table) -> None:
        """Make what was deleted from these leave the files. SQLite has written zeros over it, and its log is
        emptied here; PostgreSQL writes the tables anew, and lets nobody read or write one meanwhile. Its own
        log holds it until its files are used again."""
        if self._engine.dialect.name == "sqlite":
            async with self._engine.connect() as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        await self.rewrite(*(table.name for table in tables))

    async def rewrite(self, *tables: str) -> None:
        """Those of PostgreSQL without the rows that were deleted, as soon as nobody can see them any more.
        Raises Unavailable when that takes too long."""
        async with self.alone() as connection:
            now = (await connection.exec_driver_sql("SELECT pg_current_xact_id()::text")).scalar()
            try:
                async with asyncio.timeout(_SEEN_SECONDS):
                    while (await connection.execute(_SEEN_SINCE, {"since": now})).scalar():  # noqa: ASYNC110
                        await asyncio.sleep(_LOOK_SECONDS)
            except TimeoutError:
                raise Unavailable(
                    "What was deleted can't leave the database's files while an older transaction runs, in "
                    "any database of the same PostgreSQL, or still sees it; ask again"
                ) from None
            for table in tables:
                await connection.exec_driver_sql(f"VACUUM FULL {table}")

    @asynccontextmanager
    async def claim(self, number: int, wait_seconds: float) -> AsyncIterator[None]:
        """What the number stands for is ours until the end, and of no other server on the same database; one
        on SQLite is alone. Raises sqlalchemy.exc.OperationalError when another keeps it for so long, or the
        connection that held it was lost."""
        if self._engine.dialect.name == "sqlite":
            yield
            return
        async with self.begin() as connection:
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(wait_seconds * 1000)}")
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
            yield

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """A connection outside any transaction, for what refuses to be part of one (VACUUM)."""
        async with self._engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def migrate(self) -> None:
        """Bring the tables up to this version of the code. Of processes that start at once, one does the
        work and the others wait. Raises sqlalchemy.exc.OperationalError after a minute of waiting."""
        await upgrade(self._engine)

    async def is_current(self) -> bool:
        """Whether the tables are of this version of the code."""
        async with self._engine.connect() as connection:
            return await connection.run_sync(is_current)

    async def close(self) -> None:
        await self._engine.dispose()
        self._threads.dispose()


def upsert(connection: AsyncConnection, table: Table) -> Any:
    """An INSERT with `on_conflict_do_nothing` and `on_conflict_do_update`, for the connection's dialect."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def _engine_for_threads(url: str) -> Engine:
    parts = make_url(url)
    if parts.get_backend_name() != "sqlite":
        return create_engine(parts)
    engine = create_engine(parts.set(drivername="sqlite+pysqlite"))

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: object) -> None:
        connection.isolation_level = None
        _tune_sqlite(connection, record)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _tune_sqlite(connection: Any, _record: object) -> None:
    """A writer waits for another up to a minute: on a disk that is busy with something else a commit can take
    many seconds."""
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=60000",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _roll_back(connection: Any, _record: object, _error: BaseException | None) -> None:
    """Before SQLite closes one whose statement was cancelled: as long as a reader of that is left, in a
    traceback for example, it closes by name only, and holds the lock of its transaction."""
    with suppress(Exception, asyncio.CancelledError):  # it is closed next, whatever comes of this
        connection.rollback()
