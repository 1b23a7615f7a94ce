"""Whether memory finds what was said in Chinese: the share of the questions whose memory is the best hit.

Three sets, each in one namespace of its own. Scores and weights were chosen on `chinese_pairs.txt` alone; of
the others nothing but the shares was looked at, and the glosses were written without a look at any of them.
`chinese_held_out.txt` asks as people ask their assistant, among memories that are like each other, some asked
for by nobody. `chinese_far_pairs.txt` is as hard as can be: its questions avoid the words of their memories.
Beside ours SQLite's FTS5 as it comes, and with pairs of neighbouring characters as its words.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Measure
from innkeeper.engines.embedders.embedder import Embedder
from innkeeper.engines.embedders.minilm import MiniLm
from innkeeper.engines.embedders.minilm_install import default_folder
from innkeeper.engines.search.ranking import rank
from innkeeper.engines.search.search import Passage, Scope
from innkeeper.engines.search.sqlite.driver import SqliteSearch

SETS = {
    "Chinese, best hit right": "chinese_pairs.txt",
    "the same, held out": "chinese_held_out.txt",
    "the same, no word shared": "chinese_far_pairs.txt",
}
_AIMS = {"Chinese, best hit right": ">= 85", "the same, held out": ">= 85"}
_CANDIDATES = 200


def pairs(name: str) -> tuple[list[str], dict[int, str]]:
    """What was said, and what is asked for some of it, by its place."""
    lines = Path(__file__).with_name(name).read_text("utf-8").splitlines()
    told, _, asked = zip(*(line.partition("|") for line in lines), strict=True)
    return list(told), {place: question for place, question in enumerate(asked) if question}


async def best(told: Sequence[str], asked: Sequence[str]) -> list[int]:
    """For each question the place of the best memory."""
    embedder = MiniLm(default_folder())
    vectors, queries = await _vectors(embedder, told), await _vectors(embedder, asked)
    with tempfile.TemporaryDirectory() as folder:
        search = SqliteSearch(Path(folder))
        lines = enumerate(zip(told, vectors, strict=True))
        await search.put("zh", [Passage(place, "/", text, vector=vector) for place, (text, vector) in lines])
        found = []
        for text, query in zip(asked, queries, strict=True):
            candidates = await search.candidates("zh", Scope("/"), text, query, _CANDIDATES)
            found.append(rank(candidates, text, 1, embedder.step(text))[0].id)
        await search.close()
    await embedder.close()
    return found


async def _vectors(embedder: Embedder, texts: Sequence[str]) -> list[NDArray[np.float32] | None]:
    return [(await embedder.embed([text]))[0] if embedder.reads(text) else None for text in texts]


def measure() -> list[Measure]:
    measures = []
    for what, name in SETS.items():
        told, asked = pairs(name)
        questions = list(asked.values())
        ours = _hits(asked, asyncio.run(best(told, questions)))
        for peer, words in (("FTS5", str.split), ("FTS5 with pairs", _in_pairs)):
            theirs = _hits(asked, _fts5(told, questions, words))
            measures.append(
                Measure("memory", what, "%", [ours], peer, [theirs], _AIMS.get(what, ""), rate=True)
            )
    return measures


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


def _hits(asked: Mapping[int, str], found: Sequence[int]) -> float:
    return 100 * sum(map(int.__eq__, asked, found)) / len(asked)


if __name__ == "__main__":
    for one in measure():
        print(f"{one.what}: {one.ours[0]:.1f} % beside {one.peer} {one.theirs[0]:.1f} %")
