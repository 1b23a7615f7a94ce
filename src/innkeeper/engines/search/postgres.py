"""Search on PostgreSQL with pgvector 0.8 or later: one table for all shelves, made on first use.

The words are a `tsvector`, veiled; PostgreSQL's own ranks know nothing of how rare a word is, so that BM25 is
computed here, over the scope that is searched. Small scopes are searched exactly; for large ones the planner
takes the HNSW index, which goes on (`iterative_scan`) until enough of what it finds lies in the scope.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.search.search import Candidates, Passage, Scope
from innkeeper.engines.search.veil import Veil, Veils, unveiled
from innkeeper.engines.store.database import Database

# Any constant will do, as long as no other program uses it in the same database.
_ADVISORY_LOCK = 0x1_5EA7
_TABLE = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS search_passages (
    shelf text NOT NULL,
    id bigint NOT NULL,
    scope text COLLATE "C" NOT NULL,
    thread text NOT NULL,
    place integer NOT NULL,
    speaker text NOT NULL,
    role text NOT NULL,
    words tsvector NOT NULL,
    length integer NOT NULL,
    width integer,
    vector halfvec,
    PRIMARY KEY (shelf, id)
);
CREATE INDEX IF NOT EXISTS ix_search_passages_scope ON search_passages (shelf, scope);
CREATE INDEX IF NOT EXISTS ix_search_passages_thread ON search_passages (shelf, thread, place);
CREATE INDEX IF NOT EXISTS ix_search_passages_width ON search_passages (shelf, width);
CREATE INDEX IF NOT EXISTS ix_search_passages_words ON search_passages USING gin (words);
"""
_NEAR_INDEX = """
CREATE INDEX IF NOT EXISTS ix_search_passages_near_{width} ON search_passages
USING hnsw ((vector::halfvec({width})) halfvec_cosine_ops) WHERE width = {width}
"""
_PUT = """
INSERT INTO search_passages (shelf, id, scope, thread, place, speaker, role, words, length, width, vector)
VALUES (:shelf, :id, :scope, :thread, :place, :speaker, :role, CAST(:words AS tsvector), :length, :width,
    CAST(:vector AS halfvec))
ON CONFLICT (shelf, id) DO UPDATE SET scope = excluded.scope, thread = excluded.thread,
    place = excluded.place, speaker = excluded.speaker, role = excluded.role, words = excluded.words,
    length = excluded.length, width = excluded.width, vector = excluded.vector
"""
_IN_SCOPE = {
    True: "shelf = :shelf AND scope >= :first AND scope < :last",
    False: "shelf = :shelf AND scope = :first",
}
# BM25 (k1 1.2, b 0.75), where a word found in the text before or in the time counts less than a whole one.
_BY_WORDS = """
WITH scoped AS (
    SELECT count(*) AS size, greatest(avg(length), 1) AS usual FROM search_passages WHERE {scope}
),
matched AS (
    SELECT id, words, length FROM search_passages WHERE {scope} AND words @@ CAST(:query AS tsquery)
),
counted AS (
    SELECT id, length, lexeme, (
        SELECT sum(CASE weight WHEN 'A' THEN 1.0 WHEN 'C' THEN 0.4 ELSE 0.5 END)
        FROM unnest(weights) AS weight
    ) AS times
    FROM matched, unnest(words)
    WHERE lexeme = ANY(:lexemes)
),
rare AS (
    SELECT lexeme, weight * ln(1 + (size - count(id) + 0.5) / (count(id) + 0.5)) AS worth
    FROM unnest(CAST(:lexemes AS text[]), CAST(:weights AS float[])) AS asked (lexeme, weight)
    JOIN counted USING (lexeme), scoped GROUP BY lexeme, weight, size
)
SELECT id, sum(worth * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / usual))) AS score
FROM counted JOIN rare USING (lexeme), scoped
GROUP BY id ORDER BY score DESC LIMIT :limit
"""
_BY_MEANING = """
SELECT id, 1 - (vector::halfvec({width}) <=> CAST(:vector AS halfvec({width}))) AS cosine
FROM search_passages WHERE {scope} AND width = {width}
ORDER BY vector::halfvec({width}) <=> CAST(:vector AS halfvec({width})) LIMIT :limit
"""
_WITH_NEIGHBOURS = """
SELECT id, thread, place, speaker, role, length FROM search_passages WHERE shelf = :shelf AND id = ANY(:ids)
UNION
SELECT other.id, other.thread, other.place, other.speaker, other.role, other.length
FROM search_passages AS one JOIN search_passages AS other ON other.shelf = one.shelf
    AND other.thread = one.thread AND other.place BETWEEN one.place - 2 AND one.place + 2
WHERE one.shelf = :shelf AND one.id = ANY(:best) AND one.thread <> '' AND other.{scope}
"""
_BRINGING_NEIGHBOURS = 60


class PostgresSearch:
    """Raises sqlalchemy.exc.DBAPIError where the extension is missing and may not be made."""

    def __init__(self, database: Database, veils: Veils = unveiled) -> None:
        self._database = database
        self._veils = veils
        self._made: set[int] = set()
        self._making = asyncio.Lock()

    async def put(self, shelf: str, passages: Sequence[Passage]) -> None:
        await self._make({len(passage.vector) for passage in passages if passage.vector is not None})
        veil = await self._veils(shelf)
        async with self._database.begin() as connection:
            # In one order, or two that put the same ids would wait for each other.
            rows = [_row(shelf, passage, veil) for passage in sorted(passages, key=lambda one: one.id)]
            if rows:
                await connection.execute(text(_PUT), rows)

    async def remove(self, shelf: str, ids: Collection[int]) -> None:
        await self._do(
            "DELETE FROM search_passages WHERE shelf = :shelf AND id = ANY(:ids)", shelf, ids=list(ids)
        )

    async def candidates(
        self, shelf: str, scope: Scope, query: str, vector: NDArray[np.float32] | None, limit: int
    ) -> Candidates:
        await self._make(set())
        veil = await self._veils(shelf)
        where = {"shelf": shelf, "first": scope.path, "last": scope.path[:-1] + "0"}
        async with self._database.begin() as connection:
            words = await _by_words(connection, scope, where, veil.asked(query), limit)
            meaning: dict[int, float] = {}
            if vector is not None:
                meaning = await _by_meaning(connection, scope, where, veil.turned(vector), limit)
            best = [*list(words)[:_BRINGING_NEIGHBOURS], *list(meaning)[:_BRINGING_NEIGHBOURS]]
            statement = _WITH_NEIGHBOURS.replace(
                "{scope}", _IN_SCOPE[scope.below].replace("AND ", "AND other.")
            )
            given = {**where, "ids": [*words, *meaning], "best": best}
            rows = (await connection.execute(text(statement), given)).all()
        return _columns(rows, words, meaning)

    async def forget_vectors(self, shelf: str) -> None:
        await self._do(
            "UPDATE search_passages SET vector = NULL, width = NULL"
            " WHERE shelf = :shelf AND width IS NOT NULL",
            shelf,
        )

    async def erase(self, *shelves: str) -> None:
        """Rewrites the table without the space of removed rows, which its files still hold. Meanwhile nobody
        can search."""
        await self._make(set())
        await self._database.rewrite("search_passages")

    async def drop(self, *shelves: str) -> None:
        for shelf in shelves:
            await self._do("DELETE FROM search_passages WHERE shelf = :shelf", shelf)
        await self.erase(*shelves)

    async def close(self) -> None:
        """The database is its owner's."""

    async def _do(self, statement: str, shelf: str, **values: object) -> None:
        await self._make(set())
        async with self._database.begin() as connection:
            await connection.execute(text(statement), {"shelf": shelf, **values})

    async def _make(self, widths: set[int]) -> None:
        """The table, and an index for vectors of these widths."""
        missing = ({0} | widths) - self._made
        if not missing:
            return
        async with self._making, self._database.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            for width in sorted(missing):
                made = _NEAR_INDEX.format(width=width) if width else _TABLE
                for statement in made.split(";"):
                    if statement.strip():
                        await connection.exec_driver_sql(statement)
        self._made |= missing


async def _by_words(
    connection: AsyncConnection,
    scope: Scope,
    where: Mapping[str, str],
    words: Mapping[str, float],
    limit: int,
) -> dict[int, float]:
    """Scores by id, the best first."""
    if not words:
        return {}
    wanted = " | ".join(f"'{word}'" for word in words)
    given = {
        **where,
        "query": wanted,
        "lexemes": list(words),
        "weights": list(words.values()),
        "limit": limit,
    }
    ranked = text(_BY_WORDS.format(scope=_IN_SCOPE[scope.below]))
    rows = (await connection.execute(ranked, given)).all()
    return {row.id: float(row.score) for row in rows}


async def _by_meaning(
    connection: AsyncConnection,
    scope: Scope,
    where: Mapping[str, str],
    vector: NDArray[np.float32],
    limit: int,
) -> dict[int, float]:
    """Cosines by id, the nearest first."""
    await connection.exec_driver_sql("SET LOCAL hnsw.iterative_scan = relaxed_order")
    statement = text(_BY_MEANING.format(scope=_IN_SCOPE[scope.below], width=len(vector)))
    rows = await connection.execute(statement, {**where, "vector": _literal(vector), "limit": limit})
    return {row.id: row.cosine for row in rows if row.cosine > 0}


def _row(shelf: str, passage: Passage, veil: Veil) -> dict[str, object]:
    own = f"{passage.text}\n{passage.speaker}"
    words = [
        (word, weight)
        for part, weight in ((own, "A"), (passage.before, "C"), (passage.happened, "D"))
        for word in veil.told(part)
    ]
    vector = passage.vector
    return {
        "shelf": shelf,
        "id": passage.id,
        "scope": passage.scope,
        "thread": passage.thread,
        "place": passage.place,
        "speaker": passage.speaker,
        "role": passage.role,
        "words": _weighed(words),
        "length": len(words),
        "width": None if vector is None else len(vector),
        "vector": None if vector is None else _literal(veil.turned(vector)),
    }


def _weighed(words: Sequence[tuple[str, str]]) -> str:
    """A tsvector, written out: the words are ours, and no parser of PostgreSQL's looks at them."""
    places: dict[str, list[str]] = defaultdict(list)
    for place, (word, weight) in enumerate(words, start=1):
        places[word].append(f"{place}{weight}")
    return " ".join(f"'{word}':{','.join(where)}" for word, where in places.items())


def _literal(vector: NDArray[np.float32]) -> str:
    return "[" + ",".join(f"{number:.6g}" for number in vector.tolist()) + "]"


def _columns(rows: Sequence[Any], words: Mapping[int, float], meaning: Mapping[int, float]) -> Candidates:
    threads = {name: number for number, name in enumerate(sorted({"", *(row.thread for row in rows)}))}
    names = sorted({name for row in rows for name in (row.speaker, row.role)})
    return Candidates(
        np.array([row.id for row in rows], np.int64),
        np.array([threads[row.thread] for row in rows], np.int32),
        np.array([row.place for row in rows], np.int32),
        np.array([names.index(row.speaker) for row in rows], np.int32),
        np.array([names.index(row.role) for row in rows], np.int32),
        np.array([row.length for row in rows], np.float64),
        np.array([words.get(row.id, 0.0) for row in rows], np.float64),
        np.array([meaning.get(row.id, np.nan) for row in rows], np.float64),
        names,
    )
