"""The bubblewrap driver keeps the contract, and what is its own: no trace on the host, root or not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.contract import SandboxContract


def processes_of(state_dir: Path) -> list[str]:
    """Command lines on this host that name the driver's state folder: each bubblewrap does."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(state_dir) in line and "bwrap" in line:
            found.append(line)
    return found


def cgroups() -> set[str]:
    return {str(path) for path in Path("/sys/fs/cgroup").rglob("innkeeper-test-*")}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def driver(state_dir: Path) -> AsyncIterator[BubblewrapDriver]:
    before, open_before = cgroups(), descriptors()
    driver = BubblewrapDriver(state_dir)
    yield driver
    await driver.close()
    assert processes_of(state_dir) == []
    assert cgroups() == before
    assert list((state_dir / "sandboxes").glob("*")) == []
    await asyncio.sleep(0)
    assert descriptors() == open_before


class TestBubblewrap(SandboxContract):
    pass
