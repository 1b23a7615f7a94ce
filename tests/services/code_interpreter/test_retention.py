"""Sessions that ended long ago are forgotten, all others kept."""

from datetime import timedelta

from innkeeper.engines.store.database import Database
from innkeeper.kernel.page import PageRequest
from innkeeper.services.code_interpreter import store
from innkeeper.services.code_interpreter.model import SessionRecord, SessionStatus
from tests.clock import SettableClock

CLOCK = SettableClock()
ACCOUNT, INTERPRETER = "1" * 12, "aws.codeinterpreter.v1"


def record(id_: str, status: SessionStatus, days_ago: int) -> SessionRecord:
    then = CLOCK.now() - timedelta(days=days_ago)
    return SessionRecord(id_, ACCOUNT, INTERPRETER, None, status, 900, "host", then, then)


async def test_what_ended_long_ago_is_forgotten(database: Database) -> None:
    before = CLOCK.now() - timedelta(days=30)
    async with database.begin() as connection:
        await store.insert_session(connection, record("old", SessionStatus.TERMINATED, 31))
        await store.insert_session(connection, record("recent", SessionStatus.TERMINATED, 29))
        await store.insert_session(connection, record("live", SessionStatus.READY, 31))
        assert await store.delete_ended(connection, before) == 1
        assert await store.delete_ended(connection, before) == 0
        left = await store.list_sessions(connection, ACCOUNT, INTERPRETER, None, PageRequest())
    assert [one.id for one in left] == ["recent", "live"]
