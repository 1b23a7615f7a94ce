"""Running the migrations (Alembic) at start, by one process at a time.

The whole upgrade is one transaction that begins by taking a lock: an advisory lock on PostgreSQL, the write
lock of the file on SQLite. Who comes second finds nothing left to do.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

FOLDER = Path(__file__).parents[2] / "migrations"

_WAIT_MILLISECONDS = 60_000
# Any constant will do, as long as no other program uses it in the same database.
_ADVISORY_LOCK = 0x1_4EE9


def config_for(connection: Connection) -> Config:
    """Alembic's configuration for work on an open connection; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def upgrade(engine: AsyncEngine) -> None:
    """Raises sqlalchemy.exc.OperationalError when the lock is not free within a minute."""
    async with engine.connect() as connection:
        try:
            await _lock(connection)
            await connection.run_sync(lambda sync: command.upgrade(config_for(sync), "head"))
            await connection.commit()
        finally:
            # Its settings were made for this work alone.
            await connection.invalidate()


def is_current(connection: Connection) -> bool:
    head = ScriptDirectory.from_config(config_for(connection)).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == head


async def _lock(connection: AsyncConnection) -> None:
    if connection.dialect.name == "sqlite":
        statements = [
            f"PRAGMA busy_timeout={_WAIT_MILLISECONDS}",
            # Rebuilding a table drops the old one, which would take the rows that refer to it along.
            "PRAGMA foreign_keys=OFF",
            "BEGIN IMMEDIATE",
        ]
    else:
        statements = [
            f"SET LOCAL lock_timeout = {_WAIT_MILLISECONDS}",
            f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})",
        ]
    for statement in statements:
        await connection.exec_driver_sql(statement)
