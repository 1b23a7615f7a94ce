"""A running server on each database, and an agent on it that does as it is told."""

from typing import Any

import pytest

from tests.running import Agents, RunningServer


@pytest.fixture(scope="module")
def agents(server: RunningServer) -> Agents:
    return Agents(server)


@pytest.fixture(scope="module")
def agent(agents: Agents) -> dict[str, Any]:
    return agents.deploy()
