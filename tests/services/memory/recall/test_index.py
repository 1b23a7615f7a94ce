"""The index of a memory, when it cannot follow."""

from pathlib import Path

import pytest
from sqlalchemy import insert

from innkeeper.engines.embedders.minilm import MiniLm
from innkeeper.engines.search.sqlite.driver import SqliteSearch
from innkeeper.engines.store.database import Database
from innkeeper.kernel.errors import Unavailable
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.recall.index import Index
from innkeeper.services.memory.recall.index_store import Kind, changes
from innkeeper.services.memory.recall.vectors import Vectors


async def test_nothing_is_called_erased_while_the_index_is_behind(database: Database, tmp_path: Path) -> None:
    search = SqliteSearch(tmp_path / "search")
    vectors = Vectors(database, search, MiniLm(tmp_path))
    hasty = Index(database, search, vectors, Bell(), settle_seconds=0.1)
    async with database.begin() as connection:
        noted = {"account": "123456789012", "memory": "m", "kind": Kind.TURN, "row": 1}
        await connection.execute(insert(changes).values(noted))
    with pytest.raises(Unavailable, match="far behind; try again"):
        await hasty.erase("123456789012", "m")
    async with database.begin() as connection:
        await connection.execute(changes.delete())
    await Index(database, search, vectors, Bell()).erase("123456789012", "m")
    await search.close()
