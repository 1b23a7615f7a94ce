"""Sessions that ended long ago are forgotten with their logs, all others kept."""

from datetime import timedelta
from pathlib import Path

import pytest

from innkeeper.engines.store.database import Database
from innkeeper.services.runtime import session_store as store
from innkeeper.services.runtime.model import SessionKey, SessionRecord, SessionStatus
from innkeeper.services.runtime.retention import Retention
from innkeeper.services.runtime.session_log import log_of
from innkeeper.services.runtime.session_records import SessionRecords
from tests.clock import SettableClock

CLOCK = SettableClock()
NOW = CLOCK.now()
LIVES = (
    ("old", 1, 31),
    ("again", 2, 40),
    ("again", 3, 1),
    ("asleep", 4, None),
)


def record(session: str, id_: int, ended_days_ago: int | None) -> SessionRecord:
    return SessionRecord(
        id=str(id_),
        key=SessionKey("1" * 12, "agent", "DEFAULT", session),
        version=1,
        host="host",
        status=SessionStatus.HIBERNATED if ended_days_ago is None else SessionStatus.TERMINATED,
        started_at=NOW - timedelta(days=60),
        last_used_at=NOW,
        ended_at=None if ended_days_ago is None else NOW - timedelta(days=ended_days_ago),
    )


async def test_what_ended_long_ago_is_forgotten(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.services.runtime.retention._AT_ONCE", 1)
    records = [record(*life) for life in LIVES]
    for one in records:
        path = log_of(tmp_path, one.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("said")
    async with database.begin() as connection:
        for one in records:
            await store.insert_session(connection, one)
    retention = Retention(SessionRecords(database, "host", CLOCK), tmp_path, 30, CLOCK)
    assert await retention.forget_ended() == 2
    assert await retention.forget_ended() == 0
    logs = {one.key.session_id for one in records if log_of(tmp_path, one.key).exists()}
    assert logs == {"again", "asleep"}
    async with database.begin() as connection:
        for one, known in zip(records, (False, True, True, True), strict=True):
            key = one.key
            found = await store.find_session(connection, key.account, key.runtime_id, key.session_id, None)
            assert (found is not None) == known
