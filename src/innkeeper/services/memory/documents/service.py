"""Documents: taken in, found by what they say, pulled into a session's view and released again."""

import asyncio
from collections.abc import Sequence
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.search.ranking import Found
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound, QuotaExceeded
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.context.tokens import estimate
from innkeeper.services.memory.documents import store
from innkeeper.services.memory.documents.chunking import Cut, cut, summary_of
from innkeeper.services.memory.documents.intake import taken_in
from innkeeper.services.memory.documents.model import Added, Chunk, DocumentLimits, Text, new_document_id
from innkeeper.services.memory.model import Memory, invalid
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.safety import held_store
from innkeeper.services.memory.safety.held import Held, HeldKind
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.safety.writer import Writer


class Documents:
    def __init__(
        self,
        database: Database,
        vetter: Vetter,
        recall: Recall,
        limits: DocumentLimits,
        bell: Bell,
        clock: Clock,
    ) -> None:
        self._database = database
        self._vetter = vetter
        self._recall = recall
        self._limits = limits
        self._bell = bell
        self._clock = clock

    async def add(
        self, writer: Writer, memory: Memory, actor: str, session: str | None, title: str, text: str
    ) -> Added:
        """Durable on return; found a little later. What would steer the agent waits for review, and what was
        taken from it is left out. Raises InvalidRequest, QuotaExceeded."""
        if len(text.encode()) > self._limits.bytes_:
            raise invalid("text", f"a document may have at most {self._limits.bytes_} bytes")
        # A book takes a second or two.
        parts, tokens = await asyncio.to_thread(_cut, text)
        made = Text(
            account=memory.account,
            memory=memory.id,
            actor=actor,
            session=session or "",
            id=new_document_id(),
            title=title,
            summary=summary_of(parts.sections),
            sections=parts.sections,
            chunks=len(parts.texts),
            tokens=tokens,
            created_at=self._clock.now(),
        )
        pieces = [
            Chunk(made.id, number, " / ".join(part for part in (title, heading) if part), piece)
            for number, (heading, piece) in enumerate(zip(parts.headings, parts.texts, strict=True))
        ]
        policy = await self._vetter.policy(memory)
        intake = await taken_in(
            partial(self._vetter.held_back, policy, trust=writer.trust(policy)), made, pieces
        )
        async with self._database.begin() as connection:
            owner = _owner(memory, actor)
            if await store.count_documents(connection, owner) >= self._limits.per_actor:
                raise QuotaExceeded(f"An actor may have at most {self._limits.per_actor} documents")
            await store.insert_document(connection, intake.document, intake.chunks)
            await held_store.hold(connection, intake.held)
        self._bell.ring()
        return Added(intake.document, len(intake.held))

    async def put_back(self, connection: AsyncConnection, held: Held) -> None:
        """A text of a document that waited for review. Raises NotFound when the document is gone."""
        owner, kind = (held.account, held.memory, held.actor), held.kind
        if kind is HeldKind.TITLE:
            there = await store.set_title(connection, owner, held.name, held.text)
        else:
            there = await store.set_chunk(connection, owner, held.name, held.number, held.text)
        if not there:
            raise _unknown(held.name)

    async def get(self, memory: Memory, actor: str, id_: str) -> Text:
        """Raises NotFound."""
        async with self._database.begin() as connection:
            found = await store.find_document(connection, _owner(memory, actor), id_)
        if found is None:
            raise _unknown(id_)
        return found

    async def list(self, memory: Memory, actor: str, session: str | None) -> Sequence[Text]:
        """In the order in which they came: the actor's for all sessions; with a session, its own too."""
        async with self._database.begin() as connection:
            return await store.list_documents(connection, _owner(memory, actor), _sessions(session))

    async def read(self, memory: Memory, actor: str, id_: str, first: int, last: int) -> Sequence[Chunk]:
        """Raises NotFound."""
        async with self._database.begin() as connection:
            found = await store.read_chunks(connection, _owner(memory, actor), id_, first, last)
        if not found:
            raise _unknown(id_, first)
        return found

    async def delete(self, memory: Memory, actor: str, id_: str) -> None:
        """Raises NotFound."""
        async with self._database.begin() as connection:
            owner = _owner(memory, actor)
            if not await store.delete_document(connection, owner, id_):
                raise _unknown(id_)
            await held_store.drop(connection, owner, (HeldKind.CHUNK, HeldKind.TITLE), id_)

    async def search(
        self, memory: Memory, actor: str, session: str | None, query: str, limit: int
    ) -> Sequence[tuple[Chunk, Found]]:
        """Chunks of the actor's documents for all sessions, and of those for this one; the best first."""
        found = await self._recall.chunks(memory, query, actor)
        rows = [one.id for one in found]
        async with self._database.begin() as connection:
            owner = _owner(memory, actor)
            there = await store.chunks_by_row(connection, owner, _sessions(session), rows)
        return [(there[one.id], one) for one in found if one.id in there][:limit]

    async def pull(
        self, memory: Memory, actor: str, session: str, id_: str, first: int, last: int
    ) -> Sequence[Chunk]:
        """Into the session's view; all that is there of the document then. What waits for review is left out.
        Raises NotFound, QuotaExceeded."""
        owner = _owner(memory, actor)
        async with self._database.begin() as connection:
            # Written first: whoever pulls the same waits until this is done.
            await store.release(connection, owner, session, id_, first, last)
            wanted = await store.read_chunks(connection, owner, id_, first, last)
            if not wanted:
                raise _unknown(id_, first)
            await store.pull(connection, owner, session, id_, [one.number for one in wanted if one.text])
            view = await store.in_view(connection, owner, session)
            if len(view) > self._limits.pulled:
                raise QuotaExceeded(
                    f"A session may have at most {self._limits.pulled} chunks in view; release some first"
                )
        return [one for one in view if one.document == id_]

    async def release(
        self, memory: Memory, actor: str, session: str, id_: str, first: int, last: int
    ) -> Sequence[Chunk]:
        """Out of the session's view; what is still there of the document."""
        owner = _owner(memory, actor)
        async with self._database.begin() as connection:
            await store.release(connection, owner, session, id_, first, last)
            view = await store.in_view(connection, owner, session)
        return [one for one in view if one.document == id_]

    async def in_view(self, memory: Memory, actor: str, session: str) -> Sequence[Chunk]:
        async with self._database.begin() as connection:
            return await store.in_view(connection, _owner(memory, actor), session)


def _cut(text: str) -> tuple[Cut, int]:
    return cut(text), estimate(text)


def _owner(memory: Memory, actor: str) -> store.Owner:
    return memory.account, memory.id, actor


def _sessions(session: str | None) -> Sequence[str]:
    return ["", session] if session else [""]


def _unknown(id_: str, first: int = 0) -> NotFound:
    return NotFound(f"Document {id_} does not exist" + (f", or has no chunk {first}" if first else ""))
