"""Finding again: records by a query, and the turns themselves, whatever was extracted from them or not."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement

from innkeeper.engines.embedders.embedder import Embedder, EmbedderError
from innkeeper.engines.search.ranking import Found, rank
from innkeeper.engines.search.search import Scope, Search
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.services.memory import namespaces
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.events.store import turns_by_row
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.recall import passages
from innkeeper.services.memory.recall.hit import Hit
from innkeeper.services.memory.recall.index_store import Kind, Shelf
from innkeeper.services.memory.recall.newness import newer_first, once_each
from innkeeper.services.memory.records import metadata, store
from innkeeper.services.memory.records.model import Record, shown_metadata
from innkeeper.services.memory.records.service import Records
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.service import Memories

_CANDIDATES = 200
# Filters are looked at after the search: more must be found for enough to be left.
_CANDIDATES_FILTERED = 1000
TOP_K = 10
# So long the answer waits for the query's vector; without it the words decide.
_MEANING_SECONDS = 10.0


class Recall:
    """Both searches filter by tenant, memory and scope before they rank."""

    def __init__(
        self,
        database: Database,
        search: Search,
        embedder: Embedder,
        vetter: Vetter,
        memories: Memories,
        records: Records,
        clock: Clock,
    ) -> None:
        self._database = database
        self._search = search
        self._embedder = embedder
        self._vetter = vetter
        self._memories = memories
        self._records = records
        self._clock = clock

    async def retrieve(self, caller: Caller, params: Document) -> list[Hit[Record]]:
        """Records, the best first, of like ones the newest. Raises InvalidRequest, NotFound."""
        memory = await self._memories.active(caller, params["memoryId"])
        scope = namespaces.Scope.of(params)
        criteria = params["searchCriteria"]
        filters = criteria.get("metadataFilters", [])
        metadata.check_filters(filters)
        strategy = criteria.get("memoryStrategyId")
        limit = _CANDIDATES_FILTERED if filters or strategy else _CANDIDATES
        found = await self._remembered(memory, scope, criteria["searchQuery"], limit)
        held = store.holds(self._clock.now())
        hits = [
            hit
            for hit in await self._hits(memory, scope, found, held)
            if strategy in (None, hit.item.strategy)
            and metadata.matches(shown_metadata(hit.item.metadata), filters)
        ]
        if not hits:
            await self._records.check_scope(memory, scope)
        return once_each(newer_first(hits))[: criteria.get("topK", TOP_K)]

    async def records(
        self, memory: Memory, query: str, scope: namespaces.Scope, limit: int, as_of: datetime | None = None
    ) -> list[Hit[Record]]:
        """The best first; those that were true at a time, whether they were replaced later or not."""
        found = await self._remembered(memory, scope, query, _CANDIDATES)
        held = store.holds(self._clock.now()) if as_of is None else store.held(as_of)
        hits: list[Hit[Record]] = []
        for first in range(0, len(found), limit):
            hits += await self._hits(memory, scope, found[first : first + limit], held)
            if len(hits) >= limit:
                break
        return newer_first(hits)[:limit]

    async def turns(
        self, memory: Memory, query: str, actor: str | None, session: str | None, limit: int
    ) -> list[Hit[Turn]]:
        """Of one session, of an actor, or of all: what was said, word for word, the best first."""
        shelf = Shelf(memory.account, memory.id, Kind.TURN)
        found = await self._found(shelf, passages.session_scope(actor, session), query, _CANDIDATES)
        async with self._database.begin() as connection:
            rows = await turns_by_row(connection, memory.account, memory.id, [one.id for one in found])
        hits = [Hit(rows[one.id], one) for one in found if one.id in rows][:limit]
        flags = await self._vetter.flagged(memory, [hit.item for hit in hits])
        return [
            Hit(replace(hit.item, flagged=flag), hit.found) for hit, flag in zip(hits, flags, strict=True)
        ]

    async def _remembered(
        self, memory: Memory, scope: namespaces.Scope, query: str, limit: int
    ) -> Sequence[Found]:
        shelf = Shelf(memory.account, memory.id, Kind.RECORD)
        return await self._found(shelf, passages.record_scope(scope), query, limit)

    async def _hits(
        self, memory: Memory, scope: namespaces.Scope, found: Sequence[Found], held: ColumnElement[bool]
    ) -> list[Hit[Record]]:
        """Those of the records that were found that hold."""
        ids = [one.id for one in found]
        async with self._database.begin() as connection:
            rows = await store.records_by_row(connection, memory.account, memory.id, ids, held)
        return [
            Hit(record, one)
            for one in found
            if (record := rows.get(one.id)) is not None and scope.contains(record.namespace)
        ]

    async def chunks(self, memory: Memory, query: str, actor: str) -> Sequence[Found]:
        """Of an actor's documents, by number, the best first; some of them may be gone."""
        shelf = Shelf(memory.account, memory.id, Kind.CHUNK)
        return await self._found(shelf, passages.session_scope(actor, None), query, _CANDIDATES)

    async def _found(self, shelf: Shelf, scope: Scope, query: str, limit: int) -> Sequence[Found]:
        try:
            vector = await self._meaning(query)
            candidates = await self._search.candidates(shelf.name, scope, query, vector, limit)
        except (EmbedderError, TimeoutError):
            candidates = await self._search.candidates(shelf.name, scope, query, None, limit)
        return rank(candidates, query, limit, self._embedder.step(query))

    async def _meaning(self, query: str) -> NDArray[np.float32] | None:
        if not self._embedder.reads(query):
            return None
        async with asyncio.timeout(_MEANING_SECONDS):
            return (await self._embedder.embed([query]))[0]
