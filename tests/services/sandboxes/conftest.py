"""A running server on each driver that works here, shared by the tests of a folder."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver
from tests.running import RunningServer
from tests.services.sandboxes.lodging import Lodging

SETTINGS = {
    "code_interpreter_packages": "[]",
    "jobs": "inline",
    "sandbox_sweep_seconds": "0.1",
    "sandbox_hibernate_idle_seconds": "0",
}


@pytest.fixture(scope="package", params=["bubblewrap", "gvisor"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp(f"sandboxes-{request.param}")
    if request.param == "gvisor":
        skip_without_gvisor(folder)
    running = RunningServer(folder / "data", {**SETTINGS, "sandbox_driver": request.param}).start()
    yield running
    running.stop()


@pytest.fixture
def lodging(server: RunningServer) -> Lodging:
    return Lodging(server)


def skip_without_gvisor(folder: Path) -> None:
    found = asyncio.run(GvisorDriver(folder / "probe").probe())
    if not found.usable:
        pytest.skip("; ".join(found.problems))
