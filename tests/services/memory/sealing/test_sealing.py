"""What a memory holds opens with its own key, in its own place, and nowhere else."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import MetaData, select, update

from innkeeper.engines.store.database import Database
from innkeeper.engines.store.migration import config_for
from innkeeper.engines.vault.local import LocalVault
from innkeeper.kernel.page import PageRequest
from innkeeper.migrations.revise import import_tables
from innkeeper.services.memory.events.store import events, turns
from innkeeper.services.memory.learning.store import jobs
from innkeeper.services.memory.records.store import find_like, records, to_record
from innkeeper.services.memory.safety.history_store import history
from innkeeper.services.memory.sealing.conversion import Conversion
from innkeeper.services.memory.sealing.key import MemoryKey
from innkeeper.services.memory.sealing.keyring import Unreadable, key_of, with_keys
from innkeeper.services.memory.sealing.rows import read
from tests.services.memory.learning.classroom import ANN, NOON, Classroom

ACCOUNT, MEMORY = "123456789012", "old-0123456789"
_MANY = 1200  # more than two pieces of the conversion


async def test_what_was_moved_does_not_open(database: Database, tmp_path: Path) -> None:
    room = Classroom(database, tmp_path)
    one, other = await room.memory(name="one"), await room.memory(name="other")
    ids = {memory.id: await room.say(memory, f"a secret of {memory.name}") for memory in (one, other)}
    async with database.begin() as connection:
        theirs = select(events.c.payload).where(events.c.memory == one.id)
        payload = (await connection.execute(theirs)).scalar_one()
        here = events.c.memory == other.id
        await connection.execute(update(events).where(here).values(payload=payload))
    where = {"actorId": "ann", "sessionId": "first"}
    with pytest.raises(Unreadable, match=f"memory {other.id} does not open"):
        await room.events.get(ANN, {**where, "memoryId": other.id, "eventId": ids[other.id]})
    page = await room.events.list(ANN, {**where, "memoryId": one.id}, PageRequest())
    assert [event.messages() for event in page.items] == [[("USER", "a secret of one")]]


async def test_nothing_is_written_in_the_clear_by_mistake(database: Database, tmp_path: Path) -> None:
    room = Classroom(database, tmp_path)
    await room.say(await room.memory(), "hello")
    with pytest.raises(Exception, match="sealed first"):
        async with database.begin() as connection:
            await connection.execute(update(turns).values(text="in the clear"))


async def test_a_lost_master_key_is_told_by_its_name(database: Database, tmp_path: Path) -> None:
    await Classroom(database, tmp_path).memory()
    with pytest.raises(Unreadable, match=r"Restore the file master\.key"):
        await Conversion(with_keys(database, LocalVault(tmp_path / "another.key"))).run()


def test_a_key_opens_no_other_place() -> None:
    key = MemoryKey(bytes(32))
    assert key.open(key.seal(b"tea", b"here"), b"here") == b"tea"
    for blob, place in ((key.seal(b"tea", b"here"), b"there"), (b"tea", b"here"), (b"\xff", b"here")):
        with pytest.raises(ValueError, match="sealed"):
            key.open(blob, place)


async def _of_an_old_version(database: Database) -> None:
    """A database as it was before memories had keys, with something in each kind of column."""
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config_for(sync), "0021"))
    old = MetaData()
    async with database.begin() as connection:
        await connection.run_sync(old.reflect)
        place = {"account": ACCOUNT, "memory": MEMORY}
        session = {**place, "actor": "ann", "session": "s"}
        time = round(NOON.timestamp() * 1_000_000)
        made = {"created_at": time, "updated_at": time}
        rows = {
            "memories": [
                {"account": ACCOUNT, "id": MEMORY, "name": "old", "arn": "arn", "status": "ACTIVE"}
                | {"event_expiry_days": 30, "strategies": [], "configuration": {}, "revision": 1, **made}
            ],
            "memory_events": [
                {**session, "event_id": f"e{n}", "happened_at": time, "payload": [{"blob": f"Zürich {n}"}]}
                | {"metadata": {}, "listed": True, "skip_extraction": False}
                | {"created_at": time, "expires_at": time}
                for n in range(_MANY)
            ],
            "memory_turns": [
                {**session, "event_id": "e0", "position": 0, "role": "USER", "text": "我住在Zürich"}
                | {"happened_at": time}
            ],
            "memory_records": [
                {**place, "record_id": "r", "namespace": "/a/", "strategy": "s", "text": "likes Zürich"}
                | {"metadata": {"topic": "Zürich"}, "happened_at": time, "valid_from": time, **made}
                | {"source_event_ids": [], "trust": "USER", "status": "ACTIVE"}
            ],
            "memory_record_history": [
                {**place, "sequence": n, "record_id": "r", "namespace": "/a/", "at": time, "by": "ann"}
                | {"action": "UPDATE", "before": before, "mac": ""}
                for n, before in enumerate((None, '{"text": "Zürich"}'))
            ],
            "memory_jobs": [
                {**session, "id": "j", "strategy": "s", "kind": "SEMANTIC", "namespace": "/a/", **made}
                | {"metadata": {}, "events": [], "state": "DONE", "not_before": time, "attempts": 0}
                | {"found": [{"text": "Zürich"}], "applied": 0, "dropped": {}, "failure": None}
            ],
        }
        for name, values in rows.items():
            await connection.execute(old.tables[name].insert(), values)


async def test_what_was_written_before_is_sealed_at_the_start(database_url: str, tmp_path: Path) -> None:
    import_tables()
    plain = Database(database_url)
    await _of_an_old_version(plain)
    await plain.migrate()
    database = with_keys(plain, LocalVault(tmp_path / "master.key"))
    begun = asyncio.create_task(Conversion(database).run())
    await asyncio.sleep(0.02)  # as far as it comes
    begun.cancel()
    with suppress(asyncio.CancelledError):
        await begun
    await Conversion(database).run()
    async with database.begin() as connection:
        found = {
            table.name: await read(connection, table, select(table).order_by(*table.primary_key.columns))
            for table in (events, turns, jobs)
        }
        (record,) = map(to_record, await read(connection, records, select(records)))
        states = await read(connection, history, select(history).order_by(history.c.sequence))
        assert await find_like(connection, record, NOON) == record
        key = await connection.run_sync(key_of, ACCOUNT, MEMORY)
    await plain.close()
    assert [row["payload"][0]["blob"] for row in found["memory_events"]] == [
        f"Zürich {n}" for n in range(_MANY)
    ]
    assert [(row["text"], row["characters"]) for row in found["memory_turns"]] == [("我住在Zürich", 9)]
    assert (record.text, record.metadata) == ("likes Zürich", {"topic": "Zürich"})
    assert [row["before"] for row in states] == [None, '{"text": "Zürich"}']
    assert [(row["found"], row["failure"]) for row in found["memory_jobs"]] == [([{"text": "Zürich"}], None)]
    assert key.likeness("likes Zürich") != MemoryKey(bytes(32)).likeness("likes Zürich")
    written = b"".join(path.read_bytes() for path in tmp_path.glob("innkeeper.db*"))
    assert not any(word in written for word in ("Zürich".encode(), rb"Z\u00fcrich"))
