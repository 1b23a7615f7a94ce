"""Behind a veil the same is found in the same order, and the files tell nobody the words."""

import sqlite3
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from innkeeper.engines.search.ranking import rank
from innkeeper.engines.search.search import Passage, Scope
from innkeeper.engines.search.sqlite.driver import SqliteSearch
from innkeeper.engines.search.veil import Veil
from tests.engines.search.test_postgres import TEXTS

KEY = b"k" * 32


async def veiled(_shelf: str) -> Veil:
    return Veil(KEY)


async def test_the_same_is_found_in_the_same_order(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(len(TEXTS), 48)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    passages = [
        Passage(number, "/", text, speaker="ann", happened="Monday", vector=vector)
        for number, (text, vector) in enumerate(zip(TEXTS, vectors, strict=True))
    ]
    plain, behind = SqliteSearch(tmp_path / "plain"), SqliteSearch(tmp_path / "veiled", veiled)
    for query in ("", "Where did Ann move?", "the weather in Oslo", "Who paints?"):
        orders = []
        for search in (plain, behind):
            await search.put("shelf", passages)
            found = rank(await search.candidates("shelf", Scope("/"), query, vectors[2], 10), query, 10, 0.1)
            orders.append([(one.id, pytest.approx(one.score, abs=0.02)) for one in found])
        assert orders[0] == orders[1], query
    words, halves = crc32(b"oslo").to_bytes(4, "little"), vectors[2].astype("<f2").tobytes()
    for folder, holds in (("plain", True), ("veiled", False)):
        (file,) = (tmp_path / folder).glob("*.db")
        with sqlite3.connect(file) as connection:
            rows = connection.execute("SELECT words, vector FROM passages").fetchall()
        connection.close()
        assert any(words in row[0] for row in rows) is any(row[1] == halves for row in rows) is holds
    await plain.close()
    await behind.close()


def test_angles_stay_at_any_width_and_another_key_turns_otherwise() -> None:
    for width in (1, 2, 3, 384, 1536):
        matrix = np.random.default_rng(width).normal(size=(4, width)).astype(np.float32)
        turned = np.array([Veil(KEY).turned(row) for row in matrix])
        assert np.allclose(matrix @ matrix.T, turned @ turned.T, atol=1e-3)
        if width > 2:
            assert abs(matrix[0] @ turned[0]) < 0.9 * (matrix[0] @ matrix[0])
            assert not np.allclose(Veil(b"other").turned(matrix[0]), turned[0], atol=0.1)
