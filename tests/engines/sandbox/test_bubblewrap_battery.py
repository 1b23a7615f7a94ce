"""The bubblewrap driver withstands the isolation battery."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.contract import IsolationBattery


class TestBattery(IsolationBattery):
    @pytest.fixture
    def state_dir(self, tmp_path: Path) -> Path:
        return tmp_path / "state"

    @pytest.fixture
    async def driver(self, state_dir: Path) -> AsyncIterator[BubblewrapDriver]:
        driver = BubblewrapDriver(state_dir)
        yield driver
        await driver.close()
