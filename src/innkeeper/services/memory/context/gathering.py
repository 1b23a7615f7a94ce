"""What could go into a context: of each part the pieces, those first that should go in first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.services.memory.blocks.model import Block
from innkeeper.services.memory.blocks.service import Blocks
from innkeeper.services.memory.context.conversation import Conversation
from innkeeper.services.memory.context.model import Part, Piece, Wanted
from innkeeper.services.memory.documents.model import Chunk, Text
from innkeeper.services.memory.documents.service import Documents
from innkeeper.services.memory.events.model import SessionKey, Turn
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.namespaces import is_of, paths_of
from innkeeper.services.memory.recall.hit import Hit
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.records.model import Record, Trust

Item = TypeVar("Item")

_TURNS, _RECORDS, _DOCUMENTS = 30, 60, 20
# What was found with less than this part of the best score speaks of something else, most likely.
_FLOOR = 0.25
_QUERY_CHARACTERS = 2000


class Gathering:
    def __init__(
        self, conversation: Conversation, events: Events, blocks: Blocks, documents: Documents, recall: Recall
    ) -> None:
        self._conversation = conversation
        self._events = events
        self._blocks = blocks
        self._documents = documents
        self._recall = recall

    async def pieces(self, caller: Caller, memory: Memory, wanted: Wanted) -> Mapping[Part, Sequence[Piece]]:
        """Raises InvalidRequest, NotFound."""
        found = dict(await self._conversation.pieces(memory, wanted)) if wanted.session else {}
        last = next((one.text for one in found.get(Part.RECENT, ()) if one.role == "USER"), "")
        query = (wanted.query or last)[-_QUERY_CHARACTERS:].strip()
        blocks = await self._blocks.of(memory, wanted.actor, wanted.session)
        found[Part.BLOCKS] = list(map(_block, blocks))
        found[Part.DOCUMENTS] = await self._of_documents(memory, wanted)
        if query and wanted.shares.get(Part.TURNS):
            found[Part.TURNS] = await self._turns(memory, wanted, query)
        if query and wanted.shares.get(Part.RECORDS):
            found[Part.RECORDS] = await self._records(caller, memory, wanted, query)
        return {part: pieces for part, pieces in found.items() if pieces}

    async def _of_documents(self, memory: Memory, wanted: Wanted) -> list[Piece]:
        """The chunks in view; then, of each document, what it is about, for the agent to choose."""
        session = wanted.session
        view = await self._documents.in_view(memory, wanted.actor, session) if session else ()
        there = await self._documents.list(memory, wanted.actor, session)
        return [*map(_chunk, view), *map(_document, there[-_DOCUMENTS:])]

    async def _turns(self, memory: Memory, wanted: Wanted, query: str) -> list[Piece]:
        """Of all sessions of the actor, without those that would steer the agent, and without the query, when
        that was said: nothing is as near to it as itself."""
        found = await self._recall.turns(memory, query, wanted.actor, None, _TURNS)
        hits = _near(
            [hit for hit in found if not hit.item.flagged and not hit.item.text.strip().endswith(query)]
        )
        key = SessionKey(memory.account, memory.id, wanted.actor, wanted.session or "")
        there = await self._events.still_there(key, wanted.branch, {hit.item.event_id for hit in hits})
        return [_turn(hit, there[hit.item.event_id]) for hit in hits if hit.item.event_id in there]

    async def _records(self, caller: Caller, memory: Memory, wanted: Wanted, query: str) -> list[Piece]:
        own = wanted.namespace_paths is None
        paths = paths_of(memory.strategies, wanted.actor) if own else wanted.namespace_paths or ()
        found: dict[str, Hit[Record]] = {}
        for path in paths:
            criteria = {"searchQuery": query, "topK": _RECORDS}
            asked = {"memoryId": memory.id, "namespacePath": path, "searchCriteria": criteria}
            for hit in await self._recall.retrieve(caller, asked):
                if not own or is_of(memory.strategies, hit.item.namespace, wanted.actor):
                    found[hit.item.record_id] = hit
        hits = sorted(found.values(), key=lambda hit: -hit.score)
        return [_record(hit) for hit in _near(hits)[:_RECORDS]]


def _near(hits: Sequence[Hit[Item]]) -> list[Hit[Item]]:
    return [hit for hit in hits if hit.score >= _FLOOR * hits[0].score]


def _block(block: Block) -> Piece:
    return Piece(
        id=block.key.name,
        text=block.text,
        why={"block": "session" if block.key.session else "actor"},
        marks={"name": block.key.name, "about": block.description},
        about={"version": block.version},
    )


def _chunk(chunk: Chunk) -> Piece:
    number = str(chunk.number)
    return Piece(
        id=f"{chunk.document}/{number}",
        text=chunk.text,
        why={"document": "pulled"},
        marks={"from": chunk.heading, "chunk": number},
        about={"document": chunk.document, "number": chunk.number},
    )


def _document(document: Text) -> Piece:
    return Piece(
        id=document.id,
        text=document.summary,
        why={"document": "summary"},
        marks={"document": document.title, "id": document.id, "chunks": str(document.chunks)},
        about={"document": document.id, "chunks": document.chunks},
    )


def _turn(hit: Hit[Turn], turns: int) -> Piece:
    turn = hit.item
    return Piece(
        id=turn.event_id,
        text=turn.text,
        why=_why(hit),
        marks={"role": turn.role, "at": _day(turn.happened_at)},
        about={"session": turn.session, "role": turn.role, "at": turn.happened_at.isoformat()},
        role=turn.role,
        happened=turn.happened_at.timestamp(),
        event=turn.event_id,
        turns=turns,
    )


def _record(hit: Hit[Record]) -> Piece:
    record = hit.item
    trust = "" if record.trust is Trust.OWNER else str(record.trust)
    about = {"namespace": record.namespace, "trust": record.trust, "at": record.happened_at.isoformat()}
    return Piece(
        id=record.record_id,
        text=record.text,
        why=_why(hit),
        marks={"from": trust, "at": _day(record.happened_at)},
        about={**about, "sourceEventIds": record.source_event_ids},
        sources=record.source_event_ids,
    )


def _why(hit: Hit[Item]) -> Document:
    return {"score": hit.score, **hit.parts}


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
