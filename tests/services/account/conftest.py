from pathlib import Path

import pytest

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.services.account.service import Accounts
from tests.clock import SettableClock


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def vault(tmp_path: Path) -> LocalVault:
    return LocalVault(tmp_path / "vault.key")


@pytest.fixture
def accounts(database: Database, vault: LocalVault, clock: SettableClock) -> Accounts:
    return Accounts(database, vault, clock)
