"""Secrets Manager on a real port, on each database, and its clients."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from innkeeper.aws.models import service_model
from innkeeper.aws.operations import operations_of
from innkeeper.aws.planes import Plane
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.kernel.clock import SystemClock
from innkeeper.services.account.service import Accounts
from innkeeper.services.secrets_manager.operations import SecretsManagerOperations
from innkeeper.services.secrets_manager.service import SecretsManager
from tests.services.account.serving import client, serving

Clients = Callable[..., Any]


class LaterClock(SystemClock):
    """A clock that a test puts forward."""

    shift = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift


@pytest.fixture
def clock() -> LaterClock:
    return LaterClock()


@pytest.fixture
async def accounts(database: Database, tmp_path: Path) -> Accounts:
    return Accounts(database, LocalVault(tmp_path / "vault.key"), SystemClock())


@pytest.fixture
def service(database: Database, tmp_path: Path, accounts: Accounts, clock: LaterClock) -> SecretsManager:
    return SecretsManager(database, LocalVault(tmp_path / "vault.key"), accounts, clock)


@pytest.fixture
async def clients(accounts: Accounts, service: SecretsManager) -> AsyncIterator[Clients]:
    """Makes boto3 clients: root's, or with the keys that are given."""
    root = await accounts.bootstrap()
    handlers = operations_of(("secretsmanager",), SecretsManagerOperations(service))
    plane = Plane("secretsmanager", "json", (service_model("secretsmanager"),), handlers)
    async with serving(accounts, [plane]) as url:
        yield lambda keys=(root.access_key_id, root.secret_access_key): client("secretsmanager", url, keys)
