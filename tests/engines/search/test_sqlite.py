"""Search on SQLite: the contract, what lasts, and that nothing remains of what was erased."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from innkeeper.engines.search.contract import SearchContract, direction, found, ids
from innkeeper.engines.search.search import Passage, Scope, Search
from innkeeper.engines.search.sqlite.driver import SqliteSearch


class TestSqliteSearch(SearchContract):
    @pytest.fixture
    async def search(self, tmp_path: Path) -> AsyncIterator[Search]:
        search = SqliteSearch(tmp_path / "search")
        yield search
        await search.close()


async def test_a_shelf_lasts_and_shows_what_another_process_put(tmp_path: Path) -> None:
    first, second = SqliteSearch(tmp_path), SqliteSearch(tmp_path)
    await first.put("shelf", [Passage(1, "/", "tea", vector=direction(1, 0))])
    assert await found(second, "tea") == {1}
    await first.put("shelf", [Passage(2, "/", "tea", vector=direction(0, 1))])
    assert ids(await second.candidates("shelf", Scope("/"), "", direction(0, 1), 1)) == {2}
    await first.close()
    await second.close()


async def test_who_was_not_used_for_long_is_closed_and_opened_again(tmp_path: Path) -> None:
    search = SqliteSearch(tmp_path, open_most=2)
    for number in range(5):
        await search.put(f"shelf-{number}", [Passage(number, "/", "tea")])
    for number in range(5):
        assert await found(search, "tea", shelf=f"shelf-{number}") == {number}
    await search.close()


async def test_who_is_cancelled_has_left_the_file_when_it_is_closed(tmp_path: Path) -> None:
    search = SqliteSearch(tmp_path)
    putting = asyncio.create_task(search.put("shelf", [Passage(n, "/", "tea") for n in range(2000)]))
    while not list(tmp_path.glob("*.db")):  # noqa: ASYNC110
        await asyncio.sleep(0)
    putting.cancel()
    await search.close()
    assert len(await found(search, "tea")) == 10  # as many as are asked for
    await search.close()


async def test_a_shelf_of_an_earlier_version_is_made_anew(tmp_path: Path) -> None:
    search = SqliteSearch(tmp_path)
    await search.put("shelf", [Passage(1, "/", "tea")])
    await search.close()
    (file,) = tmp_path.glob("*.db")
    earlier = sqlite3.connect(file)
    earlier.execute("ALTER TABLE passages DROP COLUMN role")
    earlier.execute("PRAGMA user_version = 1")
    earlier.close()
    assert await found(search, "tea") == set()
    await search.put("shelf", [Passage(1, "/", "tea")])
    assert await found(search, "tea") == {1}
    await search.close()


async def test_the_nearest_of_many_are_found(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    topics = random.normal(size=(50, 96))
    vectors = [direction(*(topics[row % 50] + random.normal(size=96))) for row in range(6000)]
    passages = [Passage(row, "/", "", vector=vector) for row, vector in enumerate(vectors)]
    search = SqliteSearch(tmp_path)
    await search.put("shelf", passages)
    hits = 0
    for topic in topics[:20]:
        query = direction(*topic)
        nearest = np.argsort(-(np.array(vectors) @ query))[:10]
        candidates = await search.candidates("shelf", Scope("/"), "", query, 10)
        hits += len(ids(candidates) & set(nearest.tolist()))
    assert hits >= 0.97 * 200
    await search.close()


async def test_no_byte_remains_of_what_was_erased(tmp_path: Path) -> None:
    search = SqliteSearch(tmp_path)
    secret = "xylophonist"
    passages = [Passage(number, "/", f"{secret} {number}", speaker=secret) for number in range(1, 200)]
    await search.put("shelf", [*passages, Passage(500, "/", "something that stays")])
    await search.remove("shelf", range(1, 200))
    await search.erase("shelf")
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret[:5].encode() not in content
    assert await found(search, "stays") == {500}
    await search.drop("shelf")
    assert list(tmp_path.iterdir()) == []
    await search.close()


_PATHS = st.sampled_from(["/a/", "/a/b/", "/c/"])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 6), _PATHS, st.integers(0, 3)),
        st.tuples(st.just("remove"), st.integers(1, 6), _PATHS, st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=25)
@given(steps=_STEPS)
async def test_a_view_that_was_kept_equals_one_made_anew(
    steps: list[tuple[str, int, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("search")
    kept, query = SqliteSearch(folder), direction(1, 1)
    for kind, id_, path, thread in steps:
        for scope in (Scope("/"), Scope("/a/"), Scope("/a/", below=False)):
            await kept.candidates("shelf", scope, "tea", query, 10)
        if kind == "put":
            vector = direction(id_, thread + 1)
            passage = Passage(id_, path, f"tea {id_}", str(thread) if thread else "", id_, vector=vector)
            await kept.put("shelf", [passage])
        else:
            await kept.remove("shelf", [id_])
    anew = SqliteSearch(folder)
    for scope in (Scope("/"), Scope("/a/"), Scope("/a/", below=False)):
        one = await kept.candidates("shelf", scope, "tea", query, 10)
        other = await anew.candidates("shelf", scope, "tea", query, 10)
        rows = sorted(zip(one.ids, one.places, one.words.round(6), one.meaning.round(3), strict=True))
        others = sorted(
            zip(other.ids, other.places, other.words.round(6), other.meaning.round(3), strict=True)
        )
        assert np.array_equal(np.array(rows), np.array(others), equal_nan=True)
    await kept.close()
    await anew.close()
