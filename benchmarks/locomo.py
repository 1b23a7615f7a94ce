"""Whether memory finds what was said: evidence recall on LoCoMo (Maharana et al., ACL 2024), without an LLM.

The share of a question's evidence turns among the best 5, 10 and 20, mean over questions; a conversation is
searched alone. Beside it, in the same run and over the same texts, what it is built of: BM25 of SQLite's FTS5
with the same stop words, the cosine of MiniLM, and the reciprocal ranks of the two (k = 60).

    python -m benchmarks.locomo path/to/locomo.json

The data is not ours to ship (CC BY-NC 4.0): https://github.com/snap-research/LoCoMo
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.embedders.minilm import MiniLm
from innkeeper.engines.embedders.minilm_install import default_folder
from innkeeper.engines.search.ranking import rank
from innkeeper.engines.search.search import Passage, Scope
from innkeeper.engines.search.sqlite.driver import SqliteSearch
from innkeeper.engines.search.words import asked, told

DEPTHS = (5, 10, 20)
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
_CANDIDATES = 200

Ranking = list[int]


@dataclass(frozen=True)
class Question:
    text: str
    evidence: frozenset[int]
    category: int


@dataclass(frozen=True)
class Conversation:
    """Turns are numbered from 0; `evidence` holds such numbers."""

    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]


def conversations(path: Path) -> Iterator[Conversation]:
    for sample in json.loads(path.read_text()):
        numbers: dict[str, int] = {}
        passages = []
        for turn, passage in _turns(sample["conversation"]):
            numbers[turn["dia_id"]] = passage.id
            passages.append(passage)
        questions = []
        for entry in sample["qa"]:
            evidence = frozenset(numbers[name] for name in entry["evidence"] if name in numbers)
            if evidence and entry["category"] in CATEGORIES:
                questions.append(Question(entry["question"], evidence, entry["category"]))
        yield Conversation(tuple(passages), tuple(questions))


def _turns(talk: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Passage]]:
    """What an agent would store: the words, and for a picture its caption."""
    number = 0
    session = 1
    while turns := talk.get(f"session_{session}"):
        day = talk[f"session_{session}_date_time"].partition(" on ")[2]
        before = ""
        for turn in turns:
            text = f"{turn['text']} {turn.get('blip_caption', '')}".strip()
            thread = f"session-{session}"
            yield turn, Passage(number, "/", text, thread, number, turn["speaker"], before, day)
            before = text
            number += 1
        session += 1


async def answers(talk: Conversation, embedder: MiniLm, folder: Path) -> Iterator[dict[str, Ranking]]:
    """For each question, the best turns by each way."""
    vectors = np.array(await embedder.embed([f"{p.speaker}: {p.text}" for p in talk.passages]))
    queries = await embedder.embed([question.text for question in talk.questions])
    search = SqliteSearch(folder)
    lines = zip(talk.passages, vectors, strict=True)
    await search.put("talk", [_with(passage, vector) for passage, vector in lines])
    plain = _plain_index(talk.passages)
    ranked = []
    for question, query in zip(talk.questions, queries, strict=True):
        candidates = await search.candidates("talk", Scope("/"), question.text, query, _CANDIDATES)
        best = rank(candidates, question.text, DEPTHS[-1], embedder.step(question.text))
        words = _bm25(plain, question.text)
        meaning = [talk.passages[place].id for place in np.argsort(-(vectors @ query))]
        ranked.append(
            {
                "FTS5 BM25": words,
                "MiniLM": meaning,
                "RRF of both": _reciprocal(words, meaning),
                "Innkeeper": [found.id for found in best],
            }
        )
    await search.close()
    return iter(ranked)


def _with(passage: Passage, vector: NDArray[np.float32]) -> Passage:
    return Passage(**{**vars(passage), "vector": vector})


def _plain_index(passages: Sequence[Passage]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE turns USING fts5(text, tokenize='unicode61')")
    rows = [(p.id, " ".join(told(f"{p.speaker} {p.text}"))) for p in passages]
    connection.executemany("INSERT INTO turns (rowid, text) VALUES (?, ?)", rows)
    return connection


def _bm25(connection: sqlite3.Connection, query: str) -> Ranking:
    match = " OR ".join(f'"{word}"' for word in asked(query))
    rows = connection.execute("SELECT rowid FROM turns WHERE turns MATCH ? ORDER BY rank LIMIT 200", (match,))
    return [row[0] for row in rows]


def _reciprocal(*rankings: Ranking) -> Ranking:
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for place, id_ in enumerate(ranking, start=1):
            scores[id_] += 1 / (60 + place)
    return sorted(scores, key=lambda id_: -scores[id_])


async def measure(talks: Iterable[Conversation]) -> dict[str, dict[int, NDArray[np.float64]]]:
    """By way and category (0 for all): recall at each depth, in percent."""
    recalls: dict[str, dict[int, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    embedder = MiniLm(default_folder())
    for talk in talks:
        with tempfile.TemporaryDirectory() as folder:
            ranked = await answers(talk, embedder, Path(folder))
        for question, ways in zip(talk.questions, ranked, strict=True):
            for way, ranking in ways.items():
                hits = [
                    len(question.evidence & set(ranking[:depth])) / len(question.evidence) for depth in DEPTHS
                ]
                for category in {0, question.category}:
                    recalls[way][category].append(hits)
    await embedder.close()
    return {
        way: {category: 100 * np.mean(rows, axis=0) for category, rows in by.items()}
        for way, by in recalls.items()
    }


def show(name: str, talks: Iterable[Conversation], categories: Mapping[int, str]) -> None:
    print(f"evidence recall at {'/'.join(map(str, DEPTHS))}, percent, of {name}")
    for way, by in asyncio.run(measure(talks)).items():
        cells = [f"{title} {_cell(by[number])}" for number, title in ((0, "all"), *categories.items())]
        print(f"  {way:12s} {'   '.join(cells)}")


def _cell(recall: NDArray[np.float64]) -> str:
    return "/".join(f"{value:.1f}" for value in recall)


if __name__ == "__main__":
    show(sys.argv[1], conversations(Path(sys.argv[1])), CATEGORIES)
