"""Peers of the search in memory: mem0 with a local Qdrant, and LangGraph's stores in memory and in SQLite.

Nobody embeds: all are given the same vectors, so that what is measured is the store.
"""

import json
import os
import sqlite3
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

WIDTH = 384
_WHO = "ann"

Vectors = Mapping[str, Sequence[float]]


class Peer(ABC):
    name: str

    @abstractmethod
    def add(self, text: str) -> None: ...

    @abstractmethod
    def search(self, query: str) -> int:
        """The best ten; how many there were."""


class _Mem0(Peer):
    """Without its language model (`infer=False`), which no machine has by itself."""

    name = "mem0 2, local Qdrant"

    def __init__(self, folder: Path, vectors: Vectors) -> None:
        os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": str(folder), "OPENAI_API_KEY": "none"}
        mem0 = import_module("mem0")  # it reads these when it is loaded
        store = {"path": str(folder / "qdrant"), "on_disk": True, "embedding_model_dims": WIDTH}
        self._memory: Any = mem0.Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": {**store, "collection_name": "bench"}},
                "history_db_path": str(folder / "history.db"),
            }
        )
        self._memory.embedding_model = _Known(vectors)

    def add(self, text: str) -> None:
        self._memory.add(text, user_id=_WHO, infer=False)

    def search(self, query: str) -> int:
        found = self._memory.search(query, filters={"user_id": _WHO}, top_k=10, threshold=0.0)
        return len(found["results"])


class _Known:
    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return list(self._vectors[text])

    def embed_batch(self, texts: Sequence[str], memory_action: str | None = None) -> list[list[float]]:
        return [self.embed(text) for text in texts]


class _LangGraph(Peer):
    def __init__(self, name: str, store: Any) -> None:
        self.name = name
        self._store = store

    def add(self, text: str) -> None:
        self._store.put((_WHO,), uuid.uuid4().hex, {"text": text})

    def search(self, query: str) -> int:
        return len(self._store.search((_WHO,), query=query, limit=10))


@contextmanager
def peers(folder: Path, vectors: Vectors) -> Iterator[list[Peer]]:
    """Those that run here; of the others it is said why not."""
    index = {
        "dims": WIDTH,
        "embed": lambda texts: [vectors[_bare(text)] for text in texts],
        "fields": ["text"],
    }
    with ExitStack() as stack:
        found: list[Peer] = [_Mem0(folder / "mem0", vectors), _in_memory(index)]
        if (store := _in_sqlite(folder / "langgraph.db", index, stack)) is not None:
            found.append(store)
        yield found


def _bare(text: str) -> str:
    """SqliteStore embeds the whole document."""
    return str(json.loads(text)["text"]) if text.startswith("{") else text


def _in_memory(index: Any) -> Peer:
    store = import_module("langgraph.store.memory").InMemoryStore(index=index)
    return _LangGraph("LangGraph InMemoryStore", store)


def _in_sqlite(path: Path, index: Any, stack: ExitStack) -> Peer | None:
    """It needs a `sqlite3` that loads extensions, which many Pythons are built without."""
    loading: Any = sqlite3
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        try:
            loading = import_module("pysqlite3")
        except ImportError:
            print("LangGraph's SqliteStore: this Python loads no extensions of SQLite", file=sys.stderr)
            return None
    with patch.dict(sys.modules, sqlite3=loading):
        sqlite_store = import_module("langgraph.store.sqlite").SqliteStore
    store = stack.enter_context(sqlite_store.from_conn_string(str(path), index=index))
    store.setup()
    return _LangGraph("LangGraph SqliteStore", store)
