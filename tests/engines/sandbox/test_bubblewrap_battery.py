"""The bubblewrap driver withstands the isolation battery."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.contract import IsolationBattery
from innkeeper.engines.sandbox.contract_arena import Arena, opened


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("battery") / "state"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arena(state_dir: Path) -> AsyncIterator[Arena]:
    async with opened(BubblewrapDriver(state_dir)) as arena:
        yield arena


class TestBattery(IsolationBattery):
    """All of it."""
