"""Erasure: an extent of a memory, gone from the tables and from the files."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_, delete, select, tuple_

from innkeeper.engines.store.database import Database, metadata
from innkeeper.services.memory.blocks.store import blocks, versions
from innkeeper.services.memory.digests.store import digests
from innkeeper.services.memory.documents.store import chunks, documents, pulled
from innkeeper.services.memory.events.store import branches, events, sessions, turns
from innkeeper.services.memory.extent import Extent
from innkeeper.services.memory.learning.store import jobs, progress
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.recall.index import Index
from innkeeper.services.memory.records.store import records
from innkeeper.services.memory.safety.held_store import held
from innkeeper.services.memory.safety.history_store import heads, history, unadopted
from innkeeper.services.memory.safety.ledger import Ledger
from innkeeper.services.memory.safety.store import policies
from innkeeper.services.memory.sealing.keyring import destroy_key
from innkeeper.services.memory.tool.store import tool_tokens

_PIECE = 2000
_OF_SESSIONS = (
    sessions,
    turns,
    events,
    branches,
    jobs,
    progress,
    digests,
    blocks,
    versions,
    pulled,
    documents,
    chunks,
    held,
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many of each were deleted."""

    sessions: int
    events: int
    turns: int
    records: int
    changes: int  # of records, in their history
    blocks: int
    documents: int


class Erasure:
    def __init__(self, database: Database, ledger: Ledger, index: Index) -> None:
        self._database = database
        self._ledger = ledger
        self._index = index

    async def erase(self, extent: Extent) -> Receipt:
        """What is written while it runs may stay. Raises InvalidRequest; Unavailable when the index is too
        far behind, and then it can be asked for again."""
        extent.check()
        receipt = await self._clear(extent)
        await self._index.erase(extent.memory.account, extent.memory.id)
        await self._scrub()
        return receipt

    async def empty(self, memory: Memory) -> None:
        """All that is in a memory, and the key without which nothing of it opens wherever else it lies."""
        await self._clear(Extent(memory))
        for table in (history, heads, unadopted, policies):
            of_memory = and_(table.c.account == memory.account, table.c.memory == memory.id)
            await self._delete(table, of_memory)
        await self._index.drop(memory.account, memory.id)
        async with self._database.begin() as connection:
            await destroy_key(connection, memory.account, memory.id)
        await self._scrub()

    async def _scrub(self) -> None:
        """Every table that a memory has anything in."""
        await self._database.scrub(
            *(table for name, table in metadata.tables.items() if name.startswith("memory_"))
        )

    async def _clear(self, extent: Extent) -> Receipt:
        """First what is learned from, then what learns, then what was learned: nothing comes after."""
        if extent.session is None:
            await self._delete(tool_tokens, extent.of(tool_tokens))
        gone = {table: await self._delete(table, extent.of(table)) for table in _OF_SESSIONS}
        async with self._database.begin() as connection:
            namespaces = await extent.namespaces(connection) if extent.actor is not None else []
            of_records = await extent.of_records(connection)
        return Receipt(
            sessions=gone[sessions],
            events=gone[events],
            turns=gone[turns],
            changes=await self._ledger.forget(extent.memory.account, extent.memory.id, namespaces),
            records=await self._delete(records, of_records),
            blocks=gone[blocks],
            documents=gone[documents],
        )

    async def _delete(self, table: Table, which: ColumnElement[bool]) -> int:
        """In pieces, so that others can write in between."""
        key = tuple_(*table.primary_key.columns)
        deleted, piece = 0, _PIECE
        while piece == _PIECE:
            some = select(*table.primary_key.columns).where(which).limit(_PIECE)
            async with self._database.begin() as connection:
                piece = (await connection.execute(delete(table).where(key.in_(some)))).rowcount
            deleted += piece
        return deleted
