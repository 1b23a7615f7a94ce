"""Sessions of many tenants come and go, and the server holds no more than before."""

from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.stories.holdings import (
    at_rest,
    back_to,
    empty_cgroups,
    forgotten_cgroups,
    memory_mib,
    opened_files,
)
from tests.stories.tenants import SETTINGS, live, move_in

TENANTS = 24
SESSIONS = 2
SETTLE_SECONDS = 60.0
GROWTH_MIB = 48.0


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_sessions_used_is_given_back(tmp_path: Path) -> None:
    groups = empty_cgroups()
    server = RunningServer(tmp_path / "inn", SETTINGS).start()
    try:
        tenants = move_in(server, TENANTS)
        live(tenants[:6], range(1))  # what a server opens once, it has opened then
        before, memory = at_rest(server, SETTLE_SECONDS), memory_mib(server)
        opened = opened_files(server)
        live(tenants, range(SESSIONS))
        assert back_to(server, before, SETTLE_SECONDS) == {}, opened_files(server) - opened
        assert memory_mib(server) - memory < GROWTH_MIB
        assert forgotten_cgroups(groups, SETTLE_SECONDS) == set()
    finally:
        server.stop()
