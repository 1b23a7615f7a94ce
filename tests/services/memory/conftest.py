"""A client of memories, on the server of each database."""

import pytest

from tests.running import RunningServer
from tests.services.memory.remembering import Remembering


@pytest.fixture
def remembering(server: RunningServer) -> Remembering:
    return Remembering(server)
