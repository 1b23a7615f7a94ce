"""The index of one memory, kept by two servers on one PostgreSQL: no late worker undoes what came after."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, insert, select, text

from innkeeper.engines.search.postgres import PostgresSearch
from innkeeper.engines.search.search import Scope
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.model import Memory, MemoryStatus
from innkeeper.services.memory.recall.index import Index
from innkeeper.services.memory.recall.index_store import Kind, Shelf, changes
from innkeeper.services.memory.recall.vectors import Vectors
from innkeeper.services.memory.records.model import Record, new_record_id
from innkeeper.services.memory.records.store import delete_records, insert_records, update_record
from innkeeper.services.memory.sealing.keyring import make_key, with_keys
from innkeeper.services.memory.store import memories
from tests.tables import Tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = "123456789012"
SHELF = Shelf(ACCOUNT, "m", Kind.RECORD)


class Halting:
    """An embedder that can be held up in the middle of its work."""

    model = "halting"

    def __init__(self) -> None:
        self.free, self.busy = asyncio.Event(), asyncio.Event()
        self.free.set()

    def reads(self, text: str) -> bool:
        return True

    def step(self, query: str) -> float:
        return 0.1

    async def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        self.busy.set()
        await self.free.wait()
        return [np.array([1, 0], np.float32) for _ in texts]

    async def close(self) -> None: ...


class Server:
    """Its own connections, its own worker."""

    def __init__(self, url: str, folder: Path) -> None:
        self._plain = Database(url)
        self.database = with_keys(self._plain, LocalVault(folder / "master.key"))
        self.search = PostgresSearch(self.database)
        self.embedder, self.bell = Halting(), Bell()
        self.index = Index(
            self.database, self.search, Vectors(self.database, self.search, self.embedder), self.bell
        )

    async def remember(self, words: str) -> str:
        record = Record(ACCOUNT, "m", new_record_id(), "/a/", "s", words, {}, NOW, NOW, NOW, NOW)
        async with self.database.begin() as connection:
            await insert_records(connection, [record])
        self.bell.ring()
        return record.record_id

    async def correct(self, record_id: str, words: str) -> None:
        async with self.database.begin() as connection:
            await update_record(connection, ACCOUNT, "m", record_id, {"text": words})
        self.bell.ring()

    async def erase(self, record_id: str) -> None:
        async with self.database.begin() as connection:
            await delete_records(connection, ACCOUNT, "m", [record_id])
        await self.index.erase(ACCOUNT, "m")

    async def found(self, words: str) -> int:
        return len((await self.search.candidates(SHELF.name, Scope("/"), words, None, 10)).ids)

    async def until_taken_in(self) -> None:
        while await self._number(select(func.count()).select_from(changes)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def until_one_waits(self) -> None:
        waiting = text(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
            "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        )
        while not await self._number(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def _number(self, query: object) -> int:
        async with self.database.begin() as connection:
            return int((await connection.execute(query)).scalar_one())  # type: ignore[call-overload]

    async def close(self) -> None:
        await self.index.close()
        await self._plain.close()


@pytest.fixture
async def pair(tables: Tables, tmp_path: Path) -> AsyncIterator[tuple[Server, Server]]:
    url = await tables.copy("postgresql", tmp_path)
    one, other = Server(url, tmp_path), Server(url, tmp_path)
    memory = Memory(ACCOUNT, "m", "m", "arn:m", MemoryStatus.ACTIVE, 30, [], {}, 1, NOW, NOW)
    async with one.database.begin() as connection:
        await connection.execute(insert(memories).values(asdict(memory)))
        await make_key(connection, ACCOUNT, "m")
    await one.index.open()
    yield one, other
    await one.close()
    await other.close()


async def test_an_older_state_never_comes_after_a_newer_one(pair: tuple[Server, Server]) -> None:
    one, other = pair
    one.embedder.free.clear()
    record = await one.remember("She drinks tea.")
    await one.embedder.busy.wait()
    opening = asyncio.create_task(other.index.open())
    await other.correct(record, "She drinks cocoa.")
    await one.until_one_waits()
    one.embedder.free.set()
    await opening
    await one.until_taken_in()
    assert (await other.found("tea"), await other.found("cocoa")) == (0, 1)


async def test_what_was_erased_does_not_come_back_by_a_late_worker(pair: tuple[Server, Server]) -> None:
    one, other = pair
    await other.index.open()
    one.embedder.free.clear()
    other.embedder.free.clear()
    record = await one.remember("She drinks tea.")
    await asyncio.wait(
        [asyncio.ensure_future(server.embedder.busy.wait()) for server in pair],
        return_when=asyncio.FIRST_COMPLETED,
    )
    late, prompt = pair if one.embedder.busy.is_set() else (other, one)
    prompt.embedder.free.set()
    erasing = asyncio.create_task(prompt.erase(record))
    await prompt.until_one_waits()
    assert not erasing.done()
    late.embedder.free.set()
    await erasing
    assert (await prompt.found("tea"), await late.found("tea")) == (0, 0)
    await prompt.until_taken_in()
    assert await late.found("tea") == 0
