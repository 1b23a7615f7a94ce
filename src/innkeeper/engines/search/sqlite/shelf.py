"""One shelf: a SQLite file of its own, with the words and the vectors of each passage as blobs, veiled.

What is searched is in memory: a view of each scope, made when it is first asked for.
All methods block, and are called by one thread at a time.
"""

import sqlite3
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.search.search import Candidates, Passage, Scope
from innkeeper.engines.search.sqlite.postings import key
from innkeeper.engines.search.sqlite.view import Lines, Numbers, View
from innkeeper.engines.search.veil import Veil

# Another version is made anew: its owner has what was in it, and puts it again.
_VERSION = 3
_SCHEMA = (
    "DROP TABLE IF EXISTS words",
    "DROP TABLE IF EXISTS passages",
    """CREATE TABLE passages (
        id INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        thread TEXT NOT NULL,
        place INTEGER NOT NULL,
        speaker TEXT NOT NULL,
        role TEXT NOT NULL,
        words BLOB NOT NULL,
        vector BLOB
    )""",
    "CREATE INDEX ix_passages_scope ON passages (scope)",
    f"PRAGMA user_version = {_VERSION}",
)
_WORDS = np.dtype([("word", "<u4"), ("times", "<f4")])
_HALF = np.dtype("<f2")
# The text and the name of the speaker count whole; the text before and the time, less.
_BEFORE, _HAPPENED = 0.4, 0.5
_WAIT_SECONDS = 60
# So many of the best by words, and as many by meaning, bring their neighbours along.
_WITH_NEIGHBOURS = 60
_PIECE = 4096

_Row = tuple[Any, ...]


class SqliteShelf:
    def __init__(self, path: Path, view_bytes: int) -> None:
        """Makes the file when there is none. `view_bytes` bounds what is kept in memory, but for one view."""
        self.path = path
        self._view_bytes = view_bytes
        self._connection = sqlite3.connect(
            path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        before = self._number("PRAGMA user_version")
        with self._writing():
            if self._number("PRAGMA user_version") != _VERSION:
                for statement in _SCHEMA:
                    self._connection.execute(statement)
        if before not in (0, _VERSION):
            self.erase()
        self._threads, self._names = Numbers(), Numbers()
        self._views: OrderedDict[Scope, View] = OrderedDict()
        self._seen = self._number("PRAGMA data_version")

    def put(self, passages: Sequence[Passage], veil: Veil) -> None:
        rows = [_row(passage, veil) for passage in passages]
        with self._writing():
            self._connection.executemany(
                "INSERT OR REPLACE INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
        for scope, view in self._views.items():
            covered = [row for row in rows if _covers(scope, row[1])]
            for row in rows:
                view.remove(row[0])
            view.put(self._lines(covered))

    def remove(self, ids: Collection[int]) -> None:
        with self._writing():
            self._connection.executemany("DELETE FROM passages WHERE id = ?", [(id_,) for id_ in ids])
        for view in self._views.values():
            for id_ in ids:
                view.remove(id_)

    def candidates(
        self, scope: Scope, query: str, vector: NDArray[np.float32] | None, limit: int, veil: Veil
    ) -> Candidates:
        view = self._view(scope)
        scores = view.postings.scores(veil.asked(query))
        by_words = _best(scores, limit)
        by_meaning, near = np.zeros(0, np.int64), np.zeros(0)
        if vector is not None:
            by_meaning, near = view.nearest(veil.turned(vector), limit)
        beside = view.beside(np.union1d(by_words[:_WITH_NEIGHBOURS], by_meaning[:_WITH_NEIGHBOURS]))
        chosen = np.unique(np.concatenate([by_words, by_meaning, beside]))
        cosines = np.full(len(chosen), np.nan)
        cosines[np.searchsorted(chosen, by_meaning)] = near
        return Candidates(
            view.ids.rows[chosen],
            view.threads.rows[chosen],
            view.places.rows[chosen],
            view.speakers.rows[chosen],
            view.roles.rows[chosen],
            view.postings.lengths[chosen],
            scores[chosen],
            cosines,
            self._names.names,
        )

    def forget_vectors(self) -> None:
        with self._writing():
            self._connection.execute("UPDATE passages SET vector = NULL WHERE vector IS NOT NULL")
        self._views.clear()

    def erase(self) -> None:
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._connection.close()

    def _view(self, scope: Scope) -> View:
        self._notice_others()
        if scope not in self._views or self._views[scope].is_worn:
            self._views[scope] = self._read(scope)
        view = self._views[scope]
        self._views.move_to_end(scope)
        while len(self._views) > 1 and sum(kept.bytes for kept in self._views.values()) > self._view_bytes:
            self._views.popitem(last=False)
        return view

    def _notice_others(self) -> None:
        """What another process wrote is read anew."""
        version = self._number("PRAGMA data_version")
        if version != self._seen:
            self._seen = version
            self._views.clear()

    def _read(self, scope: Scope) -> View:
        view = View()
        condition, values = "scope = ?", [scope.path]
        if scope.below:
            end = scope.path[:-1] + "0"  # the character after the slash
            condition, values = "scope >= ? AND scope < ?", [scope.path, end]
        found = self._connection.execute(f"SELECT * FROM passages WHERE {condition}", values)  # noqa: S608
        while rows := found.fetchmany(_PIECE):
            view.put(self._lines(rows))
        return view

    def _lines(self, rows: Sequence[_Row]) -> Lines:
        ids, _, threads, places, speakers, roles, words, vectors = (
            zip(*rows, strict=True) if rows else [()] * 8
        )
        entries = np.frombuffer(b"".join(words), _WORDS)
        return Lines(
            np.array(ids, np.int64),
            np.array([self._threads.of(name) for name in threads], np.int32),
            np.array(places, np.int32),
            np.array([self._names.of(name) for name in speakers], np.int32),
            np.array([self._names.of(name) for name in roles], np.int32),
            entries["word"],
            entries["times"],
            np.array([len(blob) for blob in words], np.int64) // _WORDS.itemsize,
            _matrices(vectors),
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _number(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchone()[0])


def _row(passage: Passage, veil: Veil) -> _Row:
    times: dict[int, float] = defaultdict(float)
    parts = (
        (passage.text, 1.0),
        (passage.speaker, 1.0),
        (passage.before, _BEFORE),
        (passage.happened, _HAPPENED),
    )
    for text, weight in parts:
        for word in veil.told(text):
            times[key(word)] += weight
    vector = None if passage.vector is None else veil.turned(passage.vector).astype(_HALF).tobytes()
    return (
        *(passage.id, passage.scope, passage.thread, passage.place, passage.speaker, passage.role),
        np.array(list(times.items()), _WORDS).tobytes(),
        vector,
    )


def _matrices(
    blobs: Sequence[bytes | None],
) -> dict[int, tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """By the length of the vectors: their places, and a matrix of them."""
    have: dict[int, list[int]] = defaultdict(list)
    for place, blob in enumerate(blobs):
        if blob is not None:
            have[len(blob) // _HALF.itemsize].append(place)
    return {
        width: (
            np.array(places, np.intp),
            np.frombuffer(b"".join(blobs[place] or b"" for place in places), _HALF)
            .reshape(len(places), width)
            .astype(np.float32),
        )
        for width, places in have.items()
    }


def _best(scores: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Rows with a score, the best first."""
    rows = np.flatnonzero(scores)
    if len(rows) > limit:
        rows = rows[np.argpartition(-scores[rows], limit)[:limit]]
    return rows[np.argsort(-scores[rows], kind="stable")]


def _covers(scope: Scope, path: str) -> bool:
    return path.startswith(scope.path) if scope.below else path == scope.path
