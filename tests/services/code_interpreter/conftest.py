"""A running server on each database without Python packages, and a session of its code interpreter."""

from collections.abc import Iterator

import pytest

from tests.running import RunningServer
from tests.servers import Servers
from tests.services.code_interpreter.coding import Coding
from tests.tables import DATABASES

SETTINGS = {
    "code_interpreter_packages": "[]",
    "code_interpreter_deno": "none",
    "code_interpreter_cell_timeout_seconds": "5",
    "code_interpreter_max_sessions": "12",
    "code_interpreter_pool_count": "1",
}


@pytest.fixture(scope="module", params=DATABASES)
def server(request: pytest.FixtureRequest, servers: Servers) -> RunningServer:
    return servers.on(request.param, SETTINGS)


@pytest.fixture(scope="module")
def coding(server: RunningServer) -> Iterator[Coding]:
    """A session that the tests of a file share."""
    with Coding(server) as session:
        yield session
