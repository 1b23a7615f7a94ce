from pathlib import Path

import pytest

from innkeeper.engines.store.database import Database
from tests.services.memory.learning.classroom import Classroom


@pytest.fixture
def classroom(database: Database, tmp_path: Path) -> Classroom:
    """The parts of a memory, none of them running by itself."""
    return Classroom(database, tmp_path)
