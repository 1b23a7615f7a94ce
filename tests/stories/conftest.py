"""A server for each file of stories, and a terminal that is set up for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Agents, RunningServer
from tests.stories.terminal import Terminal

IMPORT_SECONDS = "110"  # what a framework may take to load on a machine that has much else to do


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Downloaded packages, for all servers of this run, whichever worker has them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packages"
    folder.mkdir(exist_ok=True)
    return folder


def share_packages(data_dir: Path, packages: Path) -> Path:
    """Let a server that starts on this data folder find what others have downloaded; gives the folder."""
    builds = data_dir / "builds"
    builds.mkdir(parents=True)
    (builds / "cache").symlink_to(packages)
    return data_dir


@pytest.fixture
def data_dir(tmp_path: Path, packages: Path) -> Path:
    """For a server that a test starts itself."""
    return share_packages(tmp_path / "inn", packages)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[RunningServer]:
    folder = share_packages(tmp_path_factory.mktemp("stories") / "inn", packages)
    running = RunningServer(folder, {"session_init_timeout_seconds": IMPORT_SECONDS}).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def agents(server: RunningServer) -> Agents:
    return Agents(server)


@pytest.fixture
def terminal(server: RunningServer, tmp_path: Path) -> Terminal:
    return terminal_for(server, tmp_path)


def terminal_for(server: RunningServer, folder: Path) -> Terminal:
    return Terminal(folder, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
