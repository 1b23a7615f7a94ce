"""Which workers live: each renews its row; who does not for a while is dead, and another takes its jobs.

The rows are beside the jobs themselves (on PostgreSQL in a schema of their own), and all times are the
database's, so that no two machines' clocks are compared.
"""

import time
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Double,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateSchema, CreateTable

_SCHEMA = "innkeeper_jobs"
_ADVISORY_LOCK = 0x1_4EEA
_TRIES, _PAUSE_SECONDS = 100, 0.05

_workers = Table(
    "workers",
    MetaData(schema=_SCHEMA),
    Column("id", String(255), primary_key=True),
    Column("renewed_at", Double, nullable=False),
)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How often a worker renews its lease, and how long after the last renewal it counts as dead."""

    renew_seconds: float = 5.0
    dead_after_seconds: float = 20.0


DEFAULT_LEASE_TIMES = LeaseTimes()


class Leases:
    """Blocking: call it from a thread."""

    def __init__(self, url: str, worker: str, times: LeaseTimes) -> None:
        self._worker = worker
        self._engine: Engine = create_engine(url, pool_size=1, max_overflow=1, pool_timeout=10)
        self._now: ColumnElement[float] = literal_column("extract(epoch from clock_timestamp())", Double)
        if self._engine.dialect.name == "sqlite":
            self._engine = self._engine.execution_options(schema_translate_map={_SCHEMA: None})
            self._now = literal_column("(julianday('now') - 2440587.5) * 86400.0", Double)
        self._is_dead = _workers.c.renewed_at < self._now - times.dead_after_seconds

    def prepare(self) -> None:
        with self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                _log_ahead(connection)
            else:
                # CREATE ... IF NOT EXISTS fails when two do it at once.
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
                connection.execute(CreateSchema(_SCHEMA, if_not_exists=True))
            connection.execute(CreateTable(_workers, if_not_exists=True))

    def renew(self) -> None:
        mine = update(_workers).where(_workers.c.id == self._worker).values(renewed_at=self._now)
        with self._engine.begin() as connection:
            if not connection.execute(mine).rowcount:
                connection.execute(insert(_workers).values(id=self._worker, renewed_at=self._now))

    def claim_dead(self) -> list[str]:
        """The dead workers whose jobs are for the caller to take, and for no one else.

        `remove` each when that is done; should the caller die before, it counts as dead again after a while.
        """
        others = select(_workers.c.id).where(self._is_dead, _workers.c.id != self._worker)
        with self._engine.begin() as connection:
            return [
                worker
                for worker in connection.execute(others).scalars()
                if connection.execute(
                    update(_workers)
                    .where(_workers.c.id == worker, self._is_dead)
                    .values(renewed_at=self._now)
                ).rowcount
            ]

    def remove(self, worker: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(_workers).where(_workers.c.id == worker))

    def close(self) -> None:
        self._engine.dispose()


def _log_ahead(connection: Connection) -> None:
    """The file keeps this: readers and the writer of the jobs no longer block each other. Of workers that ask
    for it at once SQLite refuses some, without letting them wait. Raises OperationalError."""
    for left in reversed(range(_TRIES)):
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except OperationalError:
            if not left:
                raise
            time.sleep(_PAUSE_SECONDS)
