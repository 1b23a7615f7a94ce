"""Memory: how fast things are found, kept and found again, beside its peers, and what it weighs.

Texts and vectors are made up: words as often as in a language, vectors in heaps as those of texts lie. The
search is measured without the time that the query's vector takes, which is a line of its own.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks import memory_quality, memory_server
from benchmarks.inn import Inn
from benchmarks.measure import Measure
from benchmarks.memory_peers import WIDTH, peers
from innkeeper.engines.embedders.minilm import MiniLm
from innkeeper.engines.embedders.minilm_install import default_folder
from innkeeper.engines.search.ranking import rank
from innkeeper.engines.search.search import Passage, Scope
from innkeeper.engines.search.sqlite.driver import SqliteSearch

_SIZES = (1_000, 10_000, 100_000)
_AIMS = {10_000: "<= 2.5", 100_000: "<= 5"}
_PEERS_MOST = 10_000
_SEARCHES, _PEER_SEARCHES, _ADDS = 200, 40, 300
_CANDIDATES = 200
_PIECE = 1000
_TURN_WORDS, _QUESTION_WORDS = 25, 6
# What only memory needs of what is installed.
_PACKAGES = ("numpy", "onnxruntime", "tokenizers", "pystemmer", "flatbuffers", "protobuf", "huggingface-hub")
_STEP = 0.12


def measure(inn: Inn) -> list[Measure]:
    sizes = _SIZES[:2] if inn.quick else _SIZES
    searches: dict[str, list[float]] = {}
    measures = []
    for size in sizes:
        measures += _search(inn, size, searches)
    _plot(searches)
    measures += [
        _embedding(inn),
        *memory_server.measure(inn),
        _installed(),
    ]
    return [*measures, *memory_quality.measure()]


class _Corpus:
    def __init__(self, size: int) -> None:
        random = np.random.default_rng(7)
        words = np.array([f"w{number}" for number in range(20_000)])
        share = 1 / np.arange(1, len(words) + 1)
        chosen = random.choice(words, (size + _SEARCHES, _TURN_WORDS), p=share / share.sum())
        self.texts = [" ".join(row) for row in chosen[:size]]
        rare = [sorted(set(row.tolist()), key=lambda word: -int(word[1:])) for row in chosen[size:]]
        self.questions = [" ".join(row[:_QUESTION_WORDS]) for row in rare]
        heaps = random.normal(size=(200, WIDTH))
        near = heaps[random.integers(200, size=size + _SEARCHES)]
        vectors = near + random.normal(size=near.shape)
        self.vectors: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1)[:, None]).astype(
            np.float32
        )

    def passages(self) -> list[Passage]:
        return [
            Passage(number, "/one/", text, f"session-{number // 20}", number, vector=self.vectors[number])
            for number, text in enumerate(self.texts)
        ]

    def asked(self) -> list[tuple[str, NDArray[np.float32]]]:
        return list(zip(self.questions, self.vectors[len(self.texts) :], strict=True))


def _search(inn: Inn, size: int, searches: dict[str, list[float]]) -> list[Measure]:
    """All in one namespace, as it is slowest."""
    corpus = _Corpus(size)
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-") as folder:
        ours = asyncio.run(_ours(inn, corpus, Path(folder) / "search"))
        searches.setdefault("Innkeeper, words and meaning", []).append(median(ours["search"]))
        what = f"search among {size:,} in one namespace"
        measures = [
            Measure("memory", f"{what}, for the first time", "ms", ours["first"]),
            Measure("memory", f"index one of {size:,}, durably", "ms", ours["add"]),
        ]
        searched = Measure("memory", what, "ms", ours["search"], aim=_AIMS.get(size, ""))
        if size > (1_000 if inn.quick else _PEERS_MOST):
            return [searched, *measures]
        for name, theirs in _theirs(inn, corpus, Path(folder)).items():
            searches.setdefault(name, []).append(median(theirs["search"]))
            measures += [
                Measure("memory", what, "ms", ours["search"], name, theirs["search"], _AIMS.get(size, "")),
                Measure("memory", f"add one to {size:,}", "ms", ours["add"], name, theirs["add"], "<= 1"),
            ]
        return measures


async def _ours(inn: Inn, corpus: _Corpus, folder: Path) -> dict[str, list[float]]:
    search = SqliteSearch(folder)
    passages = corpus.passages()
    for start in range(0, len(passages), _PIECE):
        await search.put("bench", passages[start : start + _PIECE])

    async def find(question: str, vector: NDArray[np.float32]) -> None:
        found = await search.candidates("bench", Scope("/one/"), question, vector, _CANDIDATES)
        assert len(rank(found, question, 10, _STEP)) == 10

    asked = corpus.asked()
    first = [await _timed(find(*asked[0]))]
    for one in asked[:10]:
        await find(*one)
    times = [await _timed(find(*one)) for one in asked[: inn.rounds(_SEARCHES)]]
    add = [await _timed(search.put("bench", [one])) for one in passages[: inn.rounds(_ADDS)]]
    await search.close()
    return {"first": first, "search": times, "add": add}


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1e3


def _theirs(inn: Inn, corpus: _Corpus, folder: Path) -> dict[str, dict[str, list[float]]]:
    known = [*corpus.texts, *corpus.questions]
    vectors = {text: vector.tolist() for text, vector in zip(known, corpus.vectors, strict=True)}
    times = {}
    with peers(folder, vectors) as found:
        for peer in found:
            add = [_clocked(partial(peer.add, text)) for text in corpus.texts]
            questions = corpus.questions[: inn.rounds(_PEER_SEARCHES)]
            peer.search(questions[0])
            search = [_clocked(partial(peer.search, text)) for text in questions]
            times[peer.name] = {"search": search, "add": add[-inn.rounds(_ADDS) :]}
    return times


def _clocked(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _embedding(inn: Inn) -> Measure:
    async def times() -> list[float]:
        embedder = MiniLm(default_folder())
        texts = [f"Which of the {number} teas does she like best?" for number in range(inn.rounds(_SEARCHES))]
        await embedder.embed(texts[:1])
        found = [await _timed(embedder.embed([text])) for text in texts]
        await embedder.close()
        return found

    return Measure("memory", "vector of a question", "ms", asyncio.run(times()), aim="about 2")


def _installed() -> Measure:
    """What memory adds to an installation: packages that nothing else needs, and the model."""
    sizes = [sum(file.stat().st_size for file in default_folder().rglob("*") if file.is_file())]
    for name in _PACKAGES:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        paths = [Path(str(file.locate())) for file in files]
        sizes.append(sum(path.stat().st_size for path in paths if path.is_file()))
    return Measure(
        "memory", "disk that it adds to an installation", "MiB", [sum(sizes) / 2**20], aim="<= 200"
    )


def _plot(searches: Mapping[str, Sequence[float]]) -> None:
    """How the time of a search grows: a bar's length is its logarithm, from 0.1 ms on."""
    print("\ntime of a search by how many there are, p50 in ms, logarithmic", file=sys.stderr)
    for name, medians in searches.items():
        for size, value in zip(_SIZES, medians, strict=False):
            bar = "#" * max(round(12 * np.log10(value / 0.1)), 1)
            print(f"  {name:28s} {size:>8,} {bar} {value:.2f}", file=sys.stderr)
    print(file=sys.stderr, flush=True)
