"""Documents as JSON, below `/-/v1/memories/MEMORY/documents`."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.services.memory.documents.model import Chunk, Text
from innkeeper.services.memory.documents.service import Documents
from innkeeper.services.memory.members import check_known, members_of, number, optional_text, text
from innkeeper.services.memory.model import Memory, invalid
from innkeeper.services.memory.records.model import Trust
from innkeeper.services.memory.safety.writer import writer_of
from innkeeper.services.memory.service import Memories

_NUMBER_MAX = 2**31 - 1
_TITLE_MAX, _QUERY_MAX = 500, 10_000
_LIMIT, _LIMIT_MAX = 10, 100
_READ_MOST = 200
_PLACE = ("actor", "session")
_PATH = "/-/v1/memories/{memory}/documents"


def document_upload(memories: Memories, documents: Documents, bytes_max: int) -> Route:
    """By itself, for its body may be large."""

    async def add(request: Request) -> Response:
        """A body with `actor`, `title` and `text`, and perhaps `session` and `by`."""
        members = members_of(await request.body())
        check_known(members, (*_PLACE, "title", "text", "by"))
        actor, session = text(members, "actor", 255), optional_text(members, "session", 100)
        title, content = text(members, "title", _TITLE_MAX), text(members, "text", bytes_max)
        named = await memories.named(request.state.caller, request.path_params["memory"])
        memory = await memories.active(request.state.caller, named.id)
        writer = writer_of(request.state.caller, members, Trust.TOOL)
        made = await documents.add(writer, memory, actor, session, title, content)
        return JSONResponse({**_whole(made.document), "held": made.held}, 201)

    return Route(_PATH, add, methods=["POST"])


def document_routes(memories: Memories, documents: Documents) -> list[Route]:
    """Each needs `actor`, in the body or, where there is none, in the query."""

    async def list_all(request: Request) -> Response:
        members = dict(request.query_params)
        check_known(members, _PLACE)
        memory, actor = await _owner(request, members)
        found = await documents.list(memory, actor, optional_text(members, "session", 100))
        return JSONResponse({"documents": list(map(_summary, found))})

    async def get(request: Request) -> Response:
        members = dict(request.query_params)
        check_known(members, ("actor",))
        memory, actor = await _owner(request, members)
        return JSONResponse(_whole(await documents.get(memory, actor, request.path_params["document"])))

    async def delete(request: Request) -> Response:
        members = dict(request.query_params)
        check_known(members, ("actor",))
        memory, actor = await _owner(request, members)
        await documents.delete(memory, actor, request.path_params["document"])
        return Response(status_code=204)

    async def read(request: Request) -> Response:
        """The chunks from `first` to `last`."""
        members: Document = dict(request.query_params)
        check_known(members, ("actor", "first", "last"))
        members |= {name: _whole_number(members[name]) for name in ("first", "last") if name in members}
        memory, actor = await _owner(request, members)
        first = number(members, "first", 0, _NUMBER_MAX, 0)
        last = number(members, "last", first, first + _READ_MOST - 1, first + _READ_MOST - 1)
        found = await documents.read(memory, actor, request.path_params["document"], first, last)
        return JSONResponse({"chunks": list(map(_chunk, found))})

    async def search(request: Request) -> Response:
        """A body with `query`, and perhaps `session` and `limit`."""
        members = members_of(await request.body())
        check_known(members, (*_PLACE, "query", "limit"))
        memory, actor = await _owner(request, members)
        session, query = optional_text(members, "session", 100), text(members, "query", _QUERY_MAX)
        limit = number(members, "limit", 1, _LIMIT_MAX, _LIMIT)
        hits = await documents.search(memory, actor, session, query, limit)
        shown = [{"document": one.document, **_chunk(one), "score": found.score} for one, found in hits]
        return JSONResponse({"chunks": shown})

    async def view(request: Request) -> Response:
        """`pull` or `release`, with `session`, and perhaps `first` and `last`."""
        members = members_of(await request.body())
        check_known(members, (*_PLACE, "first", "last"))
        memory, actor = await _owner(request, members)
        first = number(members, "first", 0, _NUMBER_MAX, 0)
        last = number(members, "last", first, _NUMBER_MAX, _NUMBER_MAX)
        pulls = request.url.path.endswith("/pull")
        move = documents.pull if pulls else documents.release
        session, id_ = text(members, "session", 100), request.path_params["document"]
        return JSONResponse(_in_view(await move(memory, actor, session, id_, first, last)))

    async def _owner(request: Request, members: Document) -> tuple[Memory, str]:
        named = await memories.named(request.state.caller, request.path_params["memory"])
        return await memories.active(request.state.caller, named.id), text(members, "actor", 255)

    return [
        Route(_PATH, list_all, methods=["GET"]),
        Route(f"{_PATH}/search", search, methods=["POST"]),
        Route(f"{_PATH}/{{document}}", get, methods=["GET"]),
        Route(f"{_PATH}/{{document}}", delete, methods=["DELETE"]),
        Route(f"{_PATH}/{{document}}/chunks", read, methods=["GET"]),
        Route(f"{_PATH}/{{document}}/pull", view, methods=["POST"]),
        Route(f"{_PATH}/{{document}}/release", view, methods=["POST"]),
    ]


def _whole_number(given: str) -> int:
    if not given.isdecimal() or len(given) > len(str(_NUMBER_MAX)):
        raise invalid("first", "first and last must be whole numbers")
    return int(given)


def _summary(document: Text) -> Document:
    return {
        "id": document.id,
        "title": document.title,
        "session": document.session or None,
        "summary": document.summary,
        "chunks": document.chunks,
        "tokens": document.tokens,
        "createdAt": document.created_at.isoformat(),
    }


def _whole(document: Text) -> Document:
    sections = [
        {"title": one.title, "summary": one.summary, "first": one.first, "last": one.last}
        for one in document.sections
    ]
    return {**_summary(document), "sections": sections}


def _chunk(chunk: Chunk) -> Document:
    return {
        "number": chunk.number,
        "heading": chunk.heading,
        "text": chunk.text,
        "withheld": not chunk.text,
    }


def _in_view(chunks: Sequence[Chunk]) -> Document:
    return {"inView": [one.number for one in chunks]}
