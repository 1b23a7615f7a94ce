"""Fixtures that every part's tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from innkeeper.engines.store.database import Database
from tests.postgres import PostgresServer
from tests.running import RunningServer

pytest.register_assert_rewrite(
    "innkeeper.engines.blobs.contract",
    "innkeeper.engines.jobs.contract",
    "innkeeper.engines.sandbox.contract",
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'innkeeper.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with all tables."""
    database = Database(database_url)
    await database.migrate()
    yield database
    await database.close()


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A running server on each database in turn, shared by the tests of a folder."""
    settings = {"session_init_timeout_seconds": "10", "session_request_timeout_seconds": "5"}
    if request.param == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        settings["database_url"] = postgres.new_database()
    running = RunningServer(tmp_path_factory.mktemp(f"server-{request.param}"), settings).start()
    yield running
    running.stop()
