"""What an audit can tell: what is older than the history, what was let go of it, and what is tampering."""

from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, delete, insert, select, update

from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.records.model import Record, Trust, new_record_id
from innkeeper.services.memory.records.store import insert_records, records
from innkeeper.services.memory.safety.history_store import heads, history, unadopted
from innkeeper.services.memory.safety.ledger import Ledger
from innkeeper.services.memory.safety.model import Action
from innkeeper.services.memory.safety.service import Safety
from innkeeper.services.memory.sealing.rows import read
from tests.services.memory.learning.classroom import ANN, FACTS, NOON, Classroom

MIGRATION = import_module("innkeeper.migrations.versions.0021_records_from_before_the_history")


class Auditor:
    """A memory whose history keeps three states of a summary."""

    def __init__(self, classroom: Classroom, memory: Memory, folder: Path) -> None:
        self.database, self.memory, self.records = classroom.database, memory, classroom.records
        self.ledger = Ledger(self.database, Bell(), classroom.clock, 3)
        self.safety = Safety(self.database, self.ledger, classroom.vetter, classroom.clock)

    def entry(self) -> Any:
        return self.ledger.entry(self.memory.account, self.memory.id, "a job")

    async def faults(self) -> set[str]:
        return {one.what for one in (await self.safety.check(self.memory)).faults}

    async def texts(self) -> dict[str, str]:
        async with self.database.begin() as connection:
            rows = await read(connection, records, select(records))
        return {row["record_id"]: row["text"] for row in rows}

    async def run(self, *statements: Any) -> None:
        async with self.database.begin() as connection:
            for statement in statements:
                await connection.execute(statement)

    def record(self, text: str, **members: Any) -> Record:
        made = Record(
            account=self.memory.account,
            memory=self.memory.id,
            record_id=new_record_id(),
            namespace="/facts/ann/",
            strategy="facts",
            text=text,
            metadata={},
            happened_at=NOON,
            created_at=NOON,
            updated_at=NOON,
            valid_from=NOON,
            trust=Trust.USER,
        )
        return replace(made, **members)


@pytest.fixture
async def auditor(classroom: Classroom, tmp_path: Path) -> Auditor:
    return Auditor(classroom, await classroom.memory(FACTS), tmp_path)


def note_what_is_older(connection: Connection) -> None:
    with Operations.context(MigrationContext.configure(connection)):
        MIGRATION._note_what_is_older()


async def test_a_summary_written_again_and_again_keeps_a_few_states(auditor: Auditor) -> None:
    summary, moments = auditor.record("summary 0"), list[datetime]()
    for number in range(8):
        async with auditor.entry() as entry:
            await auditor.records.learn(entry, replace(summary, text=f"summary {number}"), [])
            moments.append(entry.now)
    report = await auditor.safety.check(auditor.memory)
    assert (report.faults, report.changes, report.shortened, report.erased) == ([], 8, 4, 0)
    async with auditor.database.begin() as connection:
        rows = await read(connection, history, select(history).order_by(history.c.sequence))
    states = [row["before"] or "" for row in rows]
    assert [f"summary {number}" in "".join(states) for number in range(8)] == [False] * 4 + [True] * 3 + [
        False
    ]

    async def back(moment: datetime, path: str | None = None) -> list[str]:
        undone = await auditor.safety.roll_back(ANN, auditor.memory, moment, path, dry=False)
        return undone.unknown

    assert await back(moments[5]) == []
    assert await auditor.texts() == {summary.record_id: "summary 5"}
    assert await back(moments[1]) == [summary.record_id]  # nobody knows any more what it said
    assert await back(moments[1], "/elsewhere") == []
    assert await auditor.texts() == {summary.record_id: "summary 5"}
    old = history.c.sequence == 3
    await auditor.run(update(history).where(old).values(shortened="0" * 64))
    assert await auditor.faults() == {"the state was let go by somebody else"}
    await auditor.run(update(history).where(old).values(shortened=None))
    assert await auditor.faults() == {"the state before was altered"}
    await auditor.ledger.forget(auditor.memory.account, auditor.memory.id, ["/facts/ann/"])
    async with auditor.database.begin() as connection:
        assert not [row for row in await connection.execute(select(history)) if row.namespace or row.before]


async def test_what_is_older_than_the_history_is_told_from_tampering(auditor: Auditor) -> None:
    untouched, changed, deleted, expired = (auditor.record(f"old {number}") for number in range(4))
    async with auditor.database.begin() as connection:
        await insert_records(connection, [untouched, changed, deleted, expired])
    async with auditor.entry() as entry:
        await auditor.records.learn(entry, replace(changed, text="new"), [])
        await entry.delete([deleted, expired])
        await entry.forget([expired.record_id])
        before = entry.now
    assert await auditor.faults() == {
        "the record is not what its history says",
        "the record was changed outside its history before",
    }
    async with auditor.database.begin() as connection:
        await connection.run_sync(note_what_is_older)
    for _ in range(2):  # once
        await auditor.ledger.adopt()
    report = await auditor.safety.check(auditor.memory)
    assert (report.faults, report.before_history, report.changes) == ([], 4, 7)
    assert report.adopted_at is not None and report.adopted_at > before

    async with auditor.entry() as entry:
        await entry.update(untouched, {"text": "newer"}, Action.UPDATE)
    await auditor.safety.roll_back(ANN, auditor.memory, before - timedelta(days=1), None, dry=False)
    assert set((await auditor.texts()).values()) == {"old 0", "old 1", "old 2"}
    await auditor.safety.roll_back(ANN, auditor.memory, before, None, dry=False)
    assert set((await auditor.texts()).values()) == {"old 0", "new"}
    assert await auditor.faults() == set()


async def test_nobody_gets_in_as_older_than_the_history(auditor: Auditor) -> None:
    old = auditor.record("old")
    async with auditor.database.begin() as connection:
        await insert_records(connection, [old])
        await connection.run_sync(note_what_is_older)
    await auditor.ledger.adopt()
    async with auditor.entry() as entry:
        await entry.create([auditor.record("later")])
    assert await auditor.faults() == set()
    async with auditor.database.begin() as connection:
        kept = [dict(row) for row in (await connection.execute(select(history))).mappings()]

    adopted = history.c.action == Action.ADOPT
    await auditor.run(delete(history).where(adopted))
    assert "changes before this one are missing" in await auditor.faults()
    await auditor.run(delete(history))
    assert {"the end of the history is missing", "the record is not what its history says"} <= (
        await auditor.faults()
    )
    ends = update(heads).values(sequence=0, mac="")
    await auditor.run(ends)
    assert await auditor.faults() == {"the record is not what its history says"}
    last = kept[-1]
    await auditor.run(insert(history).values(kept), update(heads).values(sequence=2, mac=last["mac"]))
    assert await auditor.faults() == set()

    again = insert(unadopted).values(account=auditor.memory.account, memory=auditor.memory.id)
    async with auditor.database.begin() as connection:
        await insert_records(connection, [auditor.record("planted", created_at=last["at"])])
    await auditor.run(again)
    await auditor.ledger.adopt()
    assert await auditor.faults() == {"the record is not what its history says"}
    async with auditor.database.begin() as connection:
        await insert_records(connection, [auditor.record("planted and backdated")])
    await auditor.run(again)
    await auditor.ledger.adopt()
    assert "records were taken into the history for a second time" in await auditor.faults()
