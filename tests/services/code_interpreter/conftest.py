"""A running server on each database without Python packages, and a session of its code interpreter."""

from collections.abc import Iterator

import pytest

from tests.postgres import PostgresServer
from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding

SETTINGS = {
    "code_interpreter_packages": "[]",
    "code_interpreter_deno": "none",
    "code_interpreter_cell_timeout_seconds": "5",
    "code_interpreter_max_sessions": "12",
    "code_interpreter_pool_count": "1",
}


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    settings = dict(SETTINGS)
    if request.param == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        settings["database_url"] = postgres.new_database()
    running = RunningServer(tmp_path_factory.mktemp(f"code-{request.param}"), settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def coding(server: RunningServer) -> Iterator[Coding]:
    """A session that the tests of a file share."""
    with Coding(server) as session:
        yield session
