"""Search on PostgreSQL with pgvector: the contract, and the same order as on SQLite."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from innkeeper.engines.search.contract import STEP, SearchContract, direction, found, ids
from innkeeper.engines.search.postgres import PostgresSearch
from innkeeper.engines.search.ranking import rank
from innkeeper.engines.search.search import Passage, Scope, Search
from innkeeper.engines.search.sqlite.driver import SqliteSearch
from innkeeper.engines.store.database import Database
from tests.content import content
from tests.postgres import PostgresServer

TEXTS = (
    "Ann moved to Oslo in May.",
    "The weather in Oslo was cold.",
    "Bob paints houses.",
    "Ann and Bob met at the market.",
    "The market closes at five; the weather is fine.",
    "Painting takes Bob all day.",
)


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[Database]:
    database = Database(postgres.new_database())
    yield database
    await database.close()


@pytest.fixture
def search(database: Database) -> Search:
    return PostgresSearch(database)


class TestPostgresSearch(SearchContract):
    pass


async def test_words_score_as_on_sqlite(search: Search, tmp_path: Path) -> None:
    other = SqliteSearch(tmp_path)
    passages = [Passage(number, "/", text) for number, text in enumerate(TEXTS, start=1)]
    for one in (search, other):
        await one.put("shelf", passages)
    for query in (
        "What of the zebra's weather?",
        "Where did Ann move?",
        "the weather in Oslo",
        "Who paints?",
        "When does the market close?",
    ):
        answers = []
        for one in (search, other):
            candidates = await one.candidates("shelf", Scope("/"), query, None, 10)
            answers.append([best.id for best in rank(candidates, query, 2, STEP)])
        assert answers[0] == answers[1], query
    await other.close()


async def test_a_small_scope_among_many_vectors_is_found_whole(search: Search) -> None:
    random = np.random.default_rng(1)
    crowd = [
        Passage(number, "/crowd/", "tea", vector=direction(*random.normal(size=16)))
        for number in range(1, 1501)
    ]
    few = [Passage(2000 + n, "/few/", "tea", vector=direction(*random.normal(size=16))) for n in range(20)]
    await search.put("shelf", [*crowd, *few])
    query = sum(one.vector for one in few if one.vector is not None)
    assert isinstance(query, np.ndarray)
    nearest = ids(await search.candidates("shelf", Scope("/few/"), "", direction(*query), 20))
    assert nearest == {one.id for one in few if one.vector is not None and float(one.vector @ query) > 0}


async def test_no_byte_remains_of_what_was_erased(postgres: PostgresServer, database: Database) -> None:
    search = PostgresSearch(database)
    await search.put("shelf", [Passage(1, "/", "xylophonist"), Passage(2, "/", "something that stays")])
    await search.remove("shelf", [1])
    await search.erase("shelf")
    async with database.alone() as connection:
        await connection.exec_driver_sql("CHECKPOINT")
    tables = postgres.folder / "data" / "base"
    assert not any(b"xylophonist" in content(path) for path in tables.rglob("*") if path.is_file())
    assert await found(search, "stays") == {2}
