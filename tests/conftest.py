"""Fixtures that every part's tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from innkeeper.engines.store.database import Database
from tests.postgres import PostgresServer
from tests.running import RunningServer
from tests.servers import Servers
from tests.tables import DATABASES, Tables

pytest.register_assert_rewrite(
    "innkeeper.engines.blobs.contract",
    "innkeeper.engines.jobs.contract",
    "innkeeper.engines.sandbox.contract",
    # Some tests import these before the contract, which would have them explained as well.
    "innkeeper.engines.sandbox.contract_arena",
    "innkeeper.engines.sandbox.contract_transitions",
)

# How long an example takes, and finding one, says only how busy the machine is.
settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: where a worker takes a file at a time, the last ones should be short."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'innkeeper.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Tables:
    return Tables(tmp_path_factory.mktemp("tables"), postgres)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tables: Tables, tmp_path: Path) -> AsyncIterator[Database]:
    """A database with all tables, of each kind in turn."""
    database = Database(await tables.copy(request.param, tmp_path))
    yield database
    await database.close()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("servers"), postgres)
    yield servers
    servers.stop()


@pytest.fixture(scope="module", params=DATABASES)
def server(request: pytest.FixtureRequest, servers: Servers) -> RunningServer:
    """A running server on each database in turn, the same in all files."""
    return servers.on(
        request.param, {"session_init_timeout_seconds": "10", "session_request_timeout_seconds": "5"}
    )
