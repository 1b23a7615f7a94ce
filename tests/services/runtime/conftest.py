"""A running server on each database, and an agent on it that does as it is told."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import Agents, RunningServer
from tests.services.runtime.inn import Inn
from tests.services.sandboxes.conftest import skip_without_gvisor


@pytest.fixture(scope="module")
def agents(server: RunningServer) -> Agents:
    return Agents(server)


@pytest.fixture(scope="module")
def agent(agents: Agents) -> dict[str, Any]:
    return agents.deploy()


@pytest.fixture(scope="package")
def inn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inn]:
    folder = tmp_path_factory.mktemp("hibernating")
    skip_without_gvisor(folder)
    made = Inn(folder / "data")
    yield made
    made.server.stop()
