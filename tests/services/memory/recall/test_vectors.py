"""Vectors follow the embedder: another model, or none for a while."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, insert, select
from starlette.responses import PlainTextResponse

from innkeeper.engines.embedders.embedder import Embedder
from innkeeper.engines.embedders.openai_embedder import OpenAiEmbedder
from innkeeper.engines.search.search import Scope
from innkeeper.engines.search.sqlite.driver import SqliteSearch
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.model import Memory, MemoryStatus
from innkeeper.services.memory.recall.index import Index
from innkeeper.services.memory.recall.index_store import Kind, Shelf, changes
from innkeeper.services.memory.recall.vectors import Vectors
from innkeeper.services.memory.records.model import Record, new_record_id
from innkeeper.services.memory.records.store import delete_records, insert_records
from innkeeper.services.memory.sealing.keyring import make_key, with_keys
from innkeeper.services.memory.store import memories
from tests.engines.embedders.embedding_server import EmbeddingServer, embedding_server

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = "123456789012"
SHELF = Shelf(ACCOUNT, "m", Kind.RECORD)


class Desk:
    """The index of one memory, opened with one model after the other."""

    def __init__(self, database: Database, folder: Path, server: EmbeddingServer) -> None:
        self.database = database
        self.server = server
        self._folder = folder

    @asynccontextmanager
    async def open(self, model: str | Embedder) -> AsyncIterator["Desk"]:
        self.search = SqliteSearch(self._folder / "search")
        self.embedder: Embedder = (
            OpenAiEmbedder(model, self.server.url, "", 5) if isinstance(model, str) else model
        )
        self.vectors = Vectors(self.database, self.search, self.embedder, again_seconds=0.1)
        self.index = Index(self.database, self.search, self.vectors, Bell())
        await self.index.open()
        try:
            yield self
        finally:
            await self.index.close()
            await self.embedder.close()
            await self.search.close()

    async def remember(self, *texts: str) -> None:
        await self.write(*texts)
        while await self.pending():  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def write(self, *texts: str) -> list[str]:
        """Records that the index takes in later; their ids."""
        made = [
            Record(ACCOUNT, "m", new_record_id(), "/a/", "s", text, {}, NOW, NOW, NOW, NOW) for text in texts
        ]
        async with self.database.begin() as connection:
            await insert_records(connection, made)
        return [one.record_id for one in made]

    async def pending(self) -> int:
        async with self.database.begin() as connection:
            return (await connection.execute(select(func.count()).select_from(changes))).scalar_one()

    async def near(self, query: str) -> int:
        """How many passages mean the like."""
        vector = (await self.embedder.embed([query]))[0]
        found = await self.search.candidates(SHELF.name, Scope("/"), "", vector, 10)
        return len(found.ids)

    async def until_none_lacks(self) -> None:
        while await self.vectors.lacking(ACCOUNT, "m"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    memory = Memory(ACCOUNT, "m", "m", "arn:m", MemoryStatus.ACTIVE, 30, [], {}, 1, NOW, NOW)
    database = with_keys(database, LocalVault(tmp_path / "master.key"))
    async with database.begin() as connection:
        await connection.execute(insert(memories).values(asdict(memory)))
        await make_key(connection, ACCOUNT, "m")
    async with embedding_server() as server:
        yield Desk(database, tmp_path, server)


async def test_another_model_embeds_anew_what_is_there(desk: Desk) -> None:
    async with desk.open("small"):
        await desk.remember("She takes milk in her tea.", *["rain"] * 100)
        assert await desk.near("beverage") == 1
    asked = len(desk.server.requests)
    async with desk.open("large"):
        await desk.until_none_lacks()
        assert await desk.near("beverage") == 1
        assert {body["model"] for _, body in desk.server.requests[asked:]} == {"large"}
        await desk.remember("A new tea.")
        assert await desk.near("beverage") == 2
    asked = len(desk.server.requests)
    async with desk.open("large"):
        assert await desk.vectors.lacking(ACCOUNT, "m") == 0
        assert len(desk.server.requests) == asked


async def test_what_came_while_no_embedder_answered_gets_its_vectors_later(desk: Desk) -> None:
    async with desk.open("small"):
        await desk.remember("rain")
        desk.server.answer = PlainTextResponse("down", 503)
        await desk.remember("tea", "rain")
        found = await desk.search.candidates(SHELF.name, Scope("/"), "tea", None, 10)
        assert len(found.ids) == 1
        assert await desk.vectors.lacking(ACCOUNT, "m") == 2
        desk.server.answer = None
        await desk.until_none_lacks()
        assert await desk.near("beverage") == 1
        assert await desk.near("weather") == 2


async def test_an_erasure_waits_for_nothing_but_what_it_erases(desk: Desk) -> None:
    """The index is far behind with the rest, and takes one batch in meanwhile."""
    async with desk.open("small"):
        embed, batches = desk.embedder.embed, asyncio.Semaphore(1)

        async def slowly(texts: Sequence[str]) -> list[NDArray[np.float32]]:
            await batches.acquire()
            return await embed(texts)

        desk.embedder.embed = slowly  # type: ignore[method-assign]
        gone = await desk.write(*["tea"] * 64)
        await desk.write(*["rain"] * 300)
        while not batches.locked():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        async with desk.database.begin() as connection:
            await delete_records(connection, ACCOUNT, "m", gone)
        erasing = asyncio.create_task(desk.index.erase(ACCOUNT, "m"))
        while not (desk.index._erased or erasing.done()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        batches.release()
        await erasing
        found = await desk.search.candidates(SHELF.name, Scope("/"), "tea", None, 10)
        assert len(found.ids) == 0
        assert await desk.pending() > 100
