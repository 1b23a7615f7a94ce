"""One shelf: a SQLite file of its own, with a full-text index (FTS5) and the vectors as blobs.

All methods block, and are called by one thread at a time.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.search.search import Candidates, Passage, Scope
from innkeeper.engines.search.sqlite.view import Line, Numbers, View
from innkeeper.engines.search.words import asked, is_start, told

_VERSION = 1
# Of the columns of `words`, what stands in the text or names the speaker counts whole, what stands in the
# text before or in the time less, and the token of a scope nothing.
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE passages (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    thread TEXT NOT NULL,
    place INTEGER NOT NULL,
    speaker TEXT NOT NULL,
    vector BLOB
);
CREATE INDEX ix_passages_scope ON passages (scope);
CREATE VIRTUAL TABLE words USING fts5(text, speaker, before, happened, scopes, tokenize='porter unicode61');
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(1.0, 1.0, 0.4, 0.5, 0.0)');
PRAGMA user_version = 1;
COMMIT;
"""
_WAIT_SECONDS = 60
# So many of the best by words, and as many by meaning, bring their neighbours along.
_WITH_NEIGHBOURS = 60


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
        if self._number("PRAGMA user_version") != _VERSION:
            self._connection.executescript(_SCHEMA)
        self._threads, self._speakers = Numbers(), Numbers()
        self._views: OrderedDict[Scope, View] = OrderedDict()
        self._seen = self._number("PRAGMA data_version")
        self._width = self._number("SELECT coalesce(max(length(vector)), 0) FROM passages") // 2

    def put(self, passages: Sequence[Passage]) -> None:
        self._check(passages)
        with self._writing():
            self._delete(passage.id for passage in passages)
            self._connection.executemany(
                "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)", map(_row, passages)
            )
            self._connection.executemany(
                "INSERT INTO words (rowid, text, speaker, before, happened, scopes)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                map(_texts, passages),
            )
        for passage in passages:
            self._show(passage)

    def remove(self, ids: Collection[int]) -> None:
        with self._writing():
            self._delete(ids)
        for view in self._views.values():
            for id_ in ids:
                view.remove(id_)

    def candidates(
        self, scope: Scope, query: str, vector: NDArray[np.float32] | None, limit: int
    ) -> Candidates:
        view = self._view(scope)
        scores = self._by_words(scope, query, limit, view.whole)
        words = {row: score for id_, score in scores for row in view.rows((id_,))}
        meaning: dict[int, float] = {}
        if vector is not None and self._width:
            self._check_width(len(vector))
            rows, cosines = view.nearest(vector, limit)
            order = np.argsort(-cosines)
            meaning = dict(zip(rows[order].tolist(), cosines[order].tolist(), strict=True))
        best = [*list(words)[:_WITH_NEIGHBOURS], *list(meaning)[:_WITH_NEIGHBOURS]]
        chosen = np.array(sorted({*words, *meaning, *view.beside(best)}), np.intp)
        return Candidates(
            view.ids[chosen],
            view.threads[chosen],
            view.places[chosen],
            view.speakers[chosen],
            np.array([words.get(row, 0.0) for row in chosen.tolist()], np.float64),
            np.array([meaning.get(row, np.nan) for row in chosen.tolist()], np.float64),
            self._speakers.names,
        )

    def forget_vectors(self) -> None:
        with self._writing():
            self._connection.execute("UPDATE passages SET vector = NULL WHERE vector IS NOT NULL")
        self._width = 0
        self._views.clear()

    def erase(self) -> None:
        """The full-text index keeps what was removed until its parts are merged; the log, until emptied."""
        self._connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._connection.close()

    def _by_words(self, scope: Scope, query: str, limit: int, whole: bool) -> list[tuple[int, float]]:
        """Ids and scores, the best first. Narrowing costs time: not where the scope is the whole shelf."""
        terms = [f'"{word}"*' if is_start(word) else f'"{word}"' for word in asked(query)]
        if not terms:
            return []
        match = " OR ".join(terms)
        if not whole:
            match = f'"{_token(scope)}" AND ({match})'
        statement = "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
        return self._connection.execute(statement, (match, limit)).fetchall()

    def _view(self, scope: Scope) -> View:
        self._notice_others()
        if scope not in self._views:
            count = self._number("SELECT count(*) FROM passages")
            self._views[scope] = View(list(self._lines(scope)), self._width, count)
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
            self._width = self._number("SELECT coalesce(max(length(vector)), 0) FROM passages") // 2

    def _lines(self, scope: Scope) -> Iterator[Line]:
        end = scope.path[:-1] + "0"  # the character after the slash
        condition, values = "scope = ?", [scope.path]
        if scope.below:
            condition, values = "scope >= ? AND scope < ?", [scope.path, end]
        statement = f"SELECT id, thread, place, speaker, vector FROM passages WHERE {condition}"  # noqa: S608
        for id_, thread, place, speaker, blob in self._connection.execute(statement, values):
            vector = None if blob is None else np.frombuffer(blob, np.float16)
            yield Line(id_, self._threads.of(thread), place, self._speakers.of(speaker), vector)

    def _show(self, passage: Passage) -> None:
        vector = None if passage.vector is None else passage.vector.astype(np.float16)
        thread, speaker = self._threads.of(passage.thread), self._speakers.of(passage.speaker)
        line = Line(passage.id, thread, passage.place, speaker, vector)
        for scope, view in self._views.items():
            if _covers(scope, passage.scope):
                view.put(line)
            else:
                view.remove(passage.id)
                view.whole = False

    def _delete(self, ids: Iterable[int]) -> None:
        keys = [(id_,) for id_ in ids]
        self._connection.executemany("DELETE FROM passages WHERE id = ?", keys)
        self._connection.executemany("DELETE FROM words WHERE rowid = ?", keys)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _check(self, passages: Sequence[Passage]) -> None:
        for passage in passages:
            if passage.vector is not None:
                if not self._width:
                    self._width = len(passage.vector)
                    self._views.clear()
                self._check_width(len(passage.vector))

    def _check_width(self, width: int) -> None:
        if width != self._width:
            raise ValueError(f"this shelf holds vectors of {self._width} dimensions, not of {width}")

    def _number(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchone()[0])


def _row(passage: Passage) -> tuple[object, ...]:
    vector = None if passage.vector is None else passage.vector.astype(np.float16).tobytes()
    return passage.id, passage.scope, passage.thread, passage.place, passage.speaker, vector


def _texts(passage: Passage) -> tuple[object, ...]:
    texts = (passage.text, passage.speaker, passage.before, passage.happened)
    return passage.id, *(" ".join(told(text)) for text in texts), " ".join(_tokens(passage.scope))


def _tokens(path: str) -> Iterator[str]:
    """A word for the scope itself and one for each that it lies below, itself included."""
    yield _token(Scope(path, below=False))
    steps = path.split("/")
    for count in range(2, len(steps)):
        yield _token(Scope("/".join(steps[:count]) + "/"))


def _token(scope: Scope) -> str:
    """Of digits: a stemmer leaves them alone."""
    digest = blake2b(
        scope.path.encode(), digest_size=8, person=b"below" if scope.below else b"exact"
    ).digest()
    return str(int.from_bytes(digest))


def _covers(scope: Scope, path: str) -> bool:
    return path.startswith(scope.path) if scope.below else path == scope.path
