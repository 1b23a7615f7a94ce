"""A classroom on each database, whose worker is at work."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innkeeper.engines.store.database import Database
from tests.services.memory.learning.classroom import Classroom


@pytest.fixture
async def classroom(database: Database, tmp_path: Path) -> AsyncIterator[Classroom]:
    room = Classroom(database, tmp_path)
    await room.index.open()
    room.worker.open()
    yield room
    await room.worker.close()
    await room.events.close()
    await room.index.close()
