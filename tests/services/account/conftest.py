from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.services.account.service import Accounts


class HandClock:
    """Time that moves only when told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def vault(tmp_path: Path) -> LocalVault:
    return LocalVault(tmp_path / "vault.key")


@pytest.fixture
def accounts(database: Database, vault: LocalVault, clock: HandClock) -> Accounts:
    return Accounts(database, vault, clock)
