"""Memories as JSON below `/-/v1/memories`: what they hold, taken along or erased."""

import json
from collections.abc import AsyncIterator, Collection

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.contents import Contents
from innkeeper.services.memory.erasure import Erasure
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.extent import Extent
from innkeeper.services.memory.members import members_of
from innkeeper.services.memory.model import Memory, check_text, invalid
from innkeeper.services.memory.recall.hit import Hit
from innkeeper.services.memory.recall.service import TOP_K, Recall
from innkeeper.services.memory.recall.vectors import Vectors
from innkeeper.services.memory.service import Memories

_MEMBERS = frozenset({"actor", "session", "namespacePath"})
_QUERY_MAX = 10_000
_LIMIT_MAX = 100


def routes(
    memories: Memories, contents: Contents, erasure: Erasure, recall: Recall, vectors: Vectors
) -> list[Route]:
    """The authenticated caller is in `request.state.caller`. A memory goes by its name or its id."""

    async def list_all(request: Request) -> Response:
        page = PageRequest.of(None, request.query_params.get("nextToken"))
        found = await memories.list(request.state.caller, page)
        shown = [_memory(one) for one in found.items]
        return JSONResponse({"memories": shown, "nextToken": found.next_token})

    async def get(request: Request) -> Response:
        memory = await _named(request)
        lacking = await vectors.lacking(memory.account, memory.id)
        holds = await contents.counts(memory)
        return JSONResponse({**_memory(memory), "holds": holds, "withoutVectors": lacking})

    async def export(request: Request) -> Response:
        """Lines of JSON; `?actor=`, and `&session=`, `&namespacePath=` narrow it."""
        extent = _extent(await _named(request), dict(request.query_params))
        return StreamingResponse(_lines(contents.export(extent)), media_type="application/x-ndjson")

    async def erase(request: Request) -> Response:
        """A body with `actor`, and perhaps `session` and `namespacePath`."""
        extent = _extent(await _named(request), members_of(await request.body()))
        if extent.actor is None:
            raise invalid("actor", "name the actor to erase; DeleteMemory deletes a memory wholly")
        receipt = await erasure.erase(extent)
        return JSONResponse(
            {
                "sessions": receipt.sessions,
                "events": receipt.events,
                "turns": receipt.turns,
                "records": receipt.records,
                "changes": receipt.changes,
                "blocks": receipt.blocks,
                "documents": receipt.documents,
            }
        )

    async def search(request: Request) -> Response:
        """A body with `query`, and perhaps `actor`, `session` and `limit`: what was said, word for word."""
        memory, members = await _named(request), members_of(await request.body())
        query, limit = members.pop("query", None), members.pop("limit", TOP_K)
        if not isinstance(query, str) or not 1 <= len(query) <= _QUERY_MAX:
            raise invalid("query", f"must be a text of 1 to {_QUERY_MAX} characters")
        if not isinstance(limit, int) or not 1 <= limit <= _LIMIT_MAX:
            raise invalid("limit", f"must be a number from 1 to {_LIMIT_MAX}")
        extent = _extent(memory, members, _MEMBERS - {"namespacePath"})
        hits = await recall.turns(memory, query, extent.actor, extent.session, limit)
        return JSONResponse({"turns": [_turn(hit) for hit in hits]})

    async def _named(request: Request) -> Memory:
        return await memories.named(request.state.caller, request.path_params["memory"])

    return [
        Route("/-/v1/memories", list_all, methods=["GET"]),
        Route("/-/v1/memories/{memory}", get, methods=["GET"]),
        Route("/-/v1/memories/{memory}/export", export, methods=["GET"]),
        Route("/-/v1/memories/{memory}/erase", erase, methods=["POST"]),
        Route("/-/v1/memories/{memory}/search", search, methods=["POST"]),
    ]


def _extent(memory: Memory, members: Document, known: Collection[str] = _MEMBERS) -> Extent:
    for name, value in members.items():
        if name not in known:
            raise invalid(name, f"unknown; there are: {', '.join(sorted(known))}")
        if not isinstance(value, str) or not value:
            raise invalid(name, "must be a text that is not empty")
        check_text(name, value)
    extent = Extent(memory, members.get("actor"), members.get("session"), members.get("namespacePath"))
    extent.check()
    return extent


async def _lines(documents: AsyncIterator[Document]) -> AsyncIterator[str]:
    async for document in documents:
        yield json.dumps(document, ensure_ascii=False) + "\n"


def _memory(memory: Memory) -> Document:
    return {
        "id": memory.id,
        "name": memory.name,
        "status": memory.status,
        "eventExpiryDays": memory.event_expiry_days,
        "strategies": [{"name": one["name"], "type": one["type"]} for one in memory.strategies],
        "createdAt": memory.created_at.isoformat(),
    }


def _turn(hit: Hit[Turn]) -> Document:
    turn = hit.item
    return {
        "actor": turn.actor,
        "session": turn.session,
        "eventId": turn.event_id,
        "role": turn.role,
        "text": turn.text,
        "flagged": turn.flagged,
        "at": turn.happened_at.isoformat(),
        "score": hit.score,
        "why": hit.parts,
    }
