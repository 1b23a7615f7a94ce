"""Whether memory finds what was said in Chinese: 210 memories in one namespace, a question for each.

The share of the questions whose memory is the best hit. Beside it SQLite's FTS5 as it comes, and with pairs
of neighbouring characters as its words. Many a question shares no word with its memory.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Measure
from innkeeper.engines.embedders.minilm import MiniLm
from innkeeper.engines.embedders.minilm_install import default_folder
from innkeeper.engines.search.ranking import rank
from innkeeper.engines.search.search import Passage, Scope
from innkeeper.engines.search.sqlite.driver import SqliteSearch

_PAIRS = Path(__file__).with_name("chinese_pairs.txt")
_CANDIDATES = 200


def pairs() -> list[tuple[str, str]]:
    """What was said, and what is asked."""
    lines = (line.partition("|") for line in _PAIRS.read_text("utf-8").splitlines())
    return [(told, asked) for told, _, asked in lines]


async def best(told: Sequence[str], asked: Sequence[str]) -> list[int]:
    """For each question the place of the best memory."""
    embedder = MiniLm(default_folder())
    vectors, queries = await embedder.embed(told), await embedder.embed(asked)
    await embedder.close()
    with tempfile.TemporaryDirectory() as folder:
        search = SqliteSearch(Path(folder))
        lines = enumerate(zip(told, vectors, strict=True))
        await search.put("zh", [Passage(place, "/", text, vector=vector) for place, (text, vector) in lines])
        found = []
        for text, query in zip(asked, queries, strict=True):
            meaning = query if embedder.reads(text) else None
            candidates = await search.candidates("zh", Scope("/"), text, meaning, _CANDIDATES)
            found.append(rank(candidates, text, 1)[0].id)
        await search.close()
    return found


def measure() -> list[Measure]:
    told, asked = zip(*pairs(), strict=True)
    ours = _hits(asyncio.run(best(told, asked)))
    return [
        Measure("memory", "Chinese, best hit right", "%", [ours], name, [theirs], ">= 85", rate=True)
        for name, theirs in (
            ("FTS5", _hits(_fts5(told, asked, str.split))),
            ("FTS5 with pairs", _hits(_fts5(told, asked, _in_pairs))),
        )
    ]


def _fts5(told: Sequence[str], asked: Sequence[str], words: Callable[[str], list[str]]) -> list[int]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE memories USING fts5(text)")
    rows = [(place, " ".join(words(text))) for place, text in enumerate(told)]
    connection.executemany("INSERT INTO memories (rowid, text) VALUES (?, ?)", rows)
    found = []
    for text in asked:
        match = " OR ".join(f'"{word}"' for word in words(text))
        query = "SELECT rowid FROM memories WHERE memories MATCH ? ORDER BY rank LIMIT 1"
        row = connection.execute(query, (match,)).fetchone()
        found.append(row[0] if row else -1)
    return found


def _in_pairs(text: str) -> list[str]:
    return [text[place : place + 2] for place in range(len(text) - 1)]


def _hits(found: Sequence[int]) -> float:
    return 100 * sum(one == place for place, one in enumerate(found)) / len(found)


if __name__ == "__main__":
    for one in measure():
        print(f"{one.what}: {one.ours[0]:.1f} % beside {one.peer} {one.theirs[0]:.1f} %")
