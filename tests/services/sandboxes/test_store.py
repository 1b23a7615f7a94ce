"""Records of sandboxes: those that ended long ago are forgotten, all others kept."""

from datetime import UTC, datetime, timedelta

from innkeeper.engines.store.database import Database
from innkeeper.services.sandboxes import store
from innkeeper.services.sandboxes.model import OnTimeout, SandboxLimits, SandboxRecord, SandboxState

NOW = datetime(2026, 1, 31, tzinfo=UTC)
ACCOUNT = "1" * 12


def record(id_: str, ended_days_ago: int | None) -> SandboxRecord:
    return SandboxRecord(
        account=ACCOUNT,
        id=id_,
        template="base",
        ground="base",
        state=SandboxState.HIBERNATED if ended_days_ago is None else SandboxState.TERMINATED,
        metadata={},
        network="none",
        limits=SandboxLimits(1.0, 512),
        on_timeout=OnTimeout.KILL,
        timeout_seconds=60,
        host="host",
        started_at=NOW - timedelta(days=60),
        ends_at=NOW,
        changed_at=NOW,
        ended_at=None if ended_days_ago is None else NOW - timedelta(days=ended_days_ago),
    )


async def test_what_ended_long_ago_is_forgotten(database: Database) -> None:
    records = [record("old", 31), record("recent", 29), record("asleep", None)]
    async with database.begin() as connection:
        await store.insert_sandboxes(connection, records)
        assert await store.delete_ended(connection, NOW - timedelta(days=30)) == 1
        found = [await store.find_sandbox(connection, ACCOUNT, one.id) for one in records]
    assert [one.id for one in found if one] == ["recent", "asleep"]
