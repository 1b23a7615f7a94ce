"""Upgrading a database to the tables that the code expects."""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, UniqueConstraint, inspect, text
from sqlalchemy.exc import DBAPIError

from innkeeper.engines.store import migration
from innkeeper.engines.store.database import Database, Moment, metadata
from innkeeper.migrations.revise import import_tables, revise

_MIGRATE = """
import asyncio, sys
from innkeeper.engines.store.database import Database

async def main():
    database = Database(sys.argv[1])
    await database.migrate()
    await database.close()

asyncio.run(main())
"""

_BROKEN = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9999", {head!r}

def upgrade() -> None:
    op.create_table("half_done", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO half_done VALUES (1)")
    op.execute("no SQL at all")
"""


async def differences(database: Database, expected: MetaData = metadata) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), expected))

    async with database.begin() as connection:
        return await connection.run_sync(compare)


async def table_names(database: Database) -> set[str]:
    async with database.begin() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


@pytest.fixture
async def migrated(database_url: str) -> Database:
    database = Database(database_url)
    await database.migrate()
    return database


@pytest.fixture
def own_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations that a test may add to."""
    folder = tmp_path / "migrations"
    shutil.copytree(migration.FOLDER, folder)
    monkeypatch.setattr(migration, "FOLDER", folder)
    monkeypatch.setattr("innkeeper.migrations.revise.FOLDER", folder)
    return folder


@pytest.fixture
def new_table() -> Iterator[Table]:
    table = Table(
        "guests", metadata, Column("id", Integer, primary_key=True), Column("arrived_at", Moment, index=True)
    )
    yield table
    metadata.remove(metadata.tables["guests"])


async def test_an_empty_database_gets_exactly_the_tables_of_the_code(migrated: Database) -> None:
    import_tables()
    assert await differences(migrated) == []
    await migrated.close()


async def test_a_second_upgrade_finds_nothing_to_do(migrated: Database) -> None:
    before = await table_names(migrated)
    await migrated.migrate()
    assert await table_names(migrated) == before
    await migrated.close()


async def test_servers_that_start_at_once_upgrade_once(database_url: str) -> None:
    servers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _MIGRATE, database_url) for _ in range(3)
    ]
    assert await asyncio.gather(*(server.wait() for server in servers)) == [0, 0, 0]
    database = Database(database_url)
    assert "alembic_version" in await table_names(database)
    async with database.begin() as connection:
        assert len((await connection.execute(text("SELECT * FROM alembic_version"))).all()) == 1
    await database.close()


async def test_an_upgrade_that_fails_changes_nothing(
    own_migrations: Path, migrated: Database, new_table: Table
) -> None:
    before = await table_names(migrated)
    await revise("a sound one")
    (sound,) = (own_migrations / "versions").glob("*_a_sound_one.py")
    head = sound.name.partition("_")[0]
    (own_migrations / "versions" / "9999_broken.py").write_text(_BROKEN.format(head=head))
    with pytest.raises(DBAPIError, match="no SQL at all"):
        await migrated.migrate()
    assert await table_names(migrated) == before
    (own_migrations / "versions" / "9999_broken.py").unlink()
    await migrated.migrate()
    assert await table_names(migrated) >= before | {"guests"}
    await migrated.close()


async def test_a_new_migration_is_written_from_the_code(
    own_migrations: Path, database_url: str, new_table: Table
) -> None:
    (made,) = await revise("welcome guests")
    assert made.name.endswith("_welcome_guests.py")
    source = made.read_text()
    assert "def _guests() -> None:" in source
    assert "sa.BigInteger()" in source
    assert await revise("nothing changed") == []

    database = Database(database_url)
    await database.migrate()
    assert await differences(database) == []
    await database.close()


async def test_a_changed_table_keeps_its_rows(
    own_migrations: Path, database_url: str, new_table: Table
) -> None:
    await revise("welcome guests")
    database = Database(database_url)
    await database.migrate()
    async with database.begin() as connection:
        await connection.execute(new_table.insert().values(id=1))

    metadata.remove(new_table)
    changed = Table(
        "guests",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("arrived_at", Moment, index=True),
        Column("name", String(40)),
        UniqueConstraint("name"),
    )
    await revise("name guests")
    await database.migrate()
    assert await differences(database) == []
    async with database.begin() as connection:
        assert (await connection.execute(changed.select())).all() == [(1, None, None)]
    await database.close()
