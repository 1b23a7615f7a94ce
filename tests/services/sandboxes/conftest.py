"""A running server on each driver that works here, shared by the tests of a folder."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver
from tests.running import RunningServer
from tests.servers import Servers
from tests.services.sandboxes.lodging import Lodging

SETTINGS = {
    "code_interpreter_packages": "[]",
    "jobs": "inline",
    "sandbox_sweep_seconds": "0.1",
    "sandbox_hibernate_idle_seconds": "0",
}


@pytest.fixture(scope="module", params=["bubblewrap", "gvisor"])
def server(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> RunningServer:
    """The same in all files."""
    if request.param == "gvisor":
        skip_without_gvisor(tmp_path_factory.mktemp("probing"))
    return servers.on("sqlite", {**SETTINGS, "sandbox_driver": request.param})


@pytest.fixture
def lodging(server: RunningServer) -> Iterator[Lodging]:
    yield Lodging(server)
    Lodging(server).empty()  # it may be another one's by now


def skip_without_gvisor(folder: Path) -> None:
    found = asyncio.run(GvisorDriver(folder / "probe").probe())
    if not found.usable:
        pytest.skip("; ".join(found.problems))
