from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from innkeeper.aws.planes import RawPlane
from innkeeper.engines.blobs.folder import FolderBlobs
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.kernel.clock import SystemClock
from innkeeper.services.account.service import Accounts
from innkeeper.services.buckets.operations import S3Handler
from innkeeper.services.buckets.service import Buckets
from tests.services.account.serving import client, serving

Clients = Callable[..., Any]


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def buckets(database: Database, blobs: FolderBlobs) -> Buckets:
    return Buckets(database, blobs)


@pytest.fixture
async def accounts(database: Database, tmp_path: Path) -> Accounts:
    accounts = Accounts(database, LocalVault(tmp_path / "vault.key"), SystemClock())
    await accounts.bootstrap()
    return accounts


@pytest.fixture
async def s3(accounts: Accounts, buckets: Buckets) -> AsyncIterator[Clients]:
    """Makes boto3 clients: root's, or with the keys that are given."""
    root = await accounts.bootstrap()
    async with serving(accounts, [RawPlane("s3", S3Handler(buckets, accounts))]) as url:
        yield lambda keys=(root.access_key_id, root.secret_access_key), **config: client(
            "s3", url, keys, **config
        )
