"""Blocks as JSON, below `/-/v1/memories/MEMORY/blocks`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.services.memory.blocks.model import Block, BlockKey, Written
from innkeeper.services.memory.blocks.service import Blocks
from innkeeper.services.memory.members import check_known, members_of, number, optional_text, text
from innkeeper.services.memory.model import check_text, invalid
from innkeeper.services.memory.records.model import Trust
from innkeeper.services.memory.safety.writer import writer_of
from innkeeper.services.memory.service import Memories

_VERSION_MAX = 2**31 - 1
_TEXT_MAX = 2**20
_DESCRIPTION_MAX = 1000
_PLACE = frozenset({"actor", "session"})
_PUT = _PLACE | {"text", "description", "limit", "ifVersion", "by"}
_EDIT = _PLACE | {"append", "replace", "ifVersion", "by"}


def block_routes(memories: Memories, blocks: Blocks) -> list[Route]:
    """Each needs `actor`, and perhaps `session`, in the body or, where there is none, in the query."""

    async def list_all(request: Request) -> Response:
        members = dict(request.query_params)
        check_known(members, _PLACE)
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        found = await blocks.of(memory, text(members, "actor", 255), optional_text(members, "session", 100))
        return JSONResponse({"blocks": list(map(_block, found))})

    async def get(request: Request) -> Response:
        return JSONResponse(_block(await blocks.get(await _asked(request, _PLACE))))

    async def put(request: Request) -> Response:
        members = members_of(await request.body())
        check_known(members, _PUT)
        key = await _key(request, members)
        if not isinstance(members.get("text"), str):
            raise invalid("text", "must be a text; it may be empty")
        most = number(members, "limit", 1, _TEXT_MAX) if "limit" in members else None
        description = _any_text(members, "description", _DESCRIPTION_MAX)
        writer = writer_of(request.state.caller, members, Trust.ASSISTANT)
        version = _version(members)
        return _written(await blocks.put(writer, key, members["text"], description, most, version))

    async def edit(request: Request) -> Response:
        members = members_of(await request.body())
        check_known(members, _EDIT)
        key = await _key(request, members)
        writer = writer_of(request.state.caller, members, Trust.ASSISTANT)
        version = _version(members)
        return _written(await blocks.edit(writer, key, _change(members), version))

    async def delete(request: Request) -> Response:
        members = dict(request.query_params)
        version = members.pop("ifVersion", None)
        if version is not None and not version.isdecimal():
            raise invalid("ifVersion", "must be a whole number")
        await blocks.delete(await _key(request, members), None if version is None else int(version))
        return Response(status_code=204)

    async def history(request: Request) -> Response:
        found = await blocks.history(await _asked(request, _PLACE))
        shown = [
            {"version": one.version, "text": one.text, "at": one.written_at.isoformat()} for one in found
        ]
        return JSONResponse({"versions": shown})

    async def _asked(request: Request, known: frozenset[str]) -> BlockKey:
        members = dict(request.query_params)
        check_known(members, known)
        return await _key(request, members)

    async def _key(request: Request, members: Document) -> BlockKey:
        named = await memories.named(request.state.caller, request.path_params["memory"])
        memory = await memories.active(request.state.caller, named.id)
        actor, session = text(members, "actor", 255), optional_text(members, "session", 100)
        return BlockKey(memory.account, memory.id, actor, session or "", request.path_params["name"])

    path = "/-/v1/memories/{memory}/blocks"
    return [
        Route(path, list_all, methods=["GET"]),
        Route(f"{path}/{{name}}", get, methods=["GET"]),
        Route(f"{path}/{{name}}", put, methods=["PUT"]),
        Route(f"{path}/{{name}}", edit, methods=["PATCH"]),
        Route(f"{path}/{{name}}", delete, methods=["DELETE"]),
        Route(f"{path}/{{name}}/history", history, methods=["GET"]),
    ]


def _written(written: Written) -> Response:
    """202 for what waits for review."""
    shown, held = _block(written.block), written.held
    if held is None:
        return JSONResponse(shown)
    waits = {"status": "QUARANTINED", "held": held.id, "concerns": list(held.concerns)}
    return JSONResponse({**shown, "version": held.number, **waits}, 202)


def _version(members: Document) -> int | None:
    return number(members, "ifVersion", 0, _VERSION_MAX) if "ifVersion" in members else None


def _change(members: Document) -> Document:
    if ("append" in members) == ("replace" in members):
        raise invalid("append", "give exactly one of append and replace")
    if "append" in members:
        return {"append": text(members, "append", _TEXT_MAX)}
    span = members["replace"]
    if not isinstance(span, dict) or set(span) != {"old", "new"}:
        raise invalid("replace", 'must be an object with the texts "old" and "new"')
    new = _any_text(span, "new", _TEXT_MAX)
    if new is None:
        raise invalid("replace.new", "must be a text; it may be empty")
    return {"replace": {"old": text(span, "old", _TEXT_MAX), "new": new}}


def _any_text(members: Document, name: str, most: int) -> str | None:
    """It may be empty."""
    value = members.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > most):
        raise invalid(name, f"must be a text of at most {most} characters")
    check_text(name, value or "")
    return value


def _block(block: Block) -> Document:
    return {
        "name": block.key.name,
        "actor": block.key.actor,
        "session": block.key.session or None,
        "text": block.text,
        "description": block.description,
        "limit": block.most,
        "version": block.version,
        "createdAt": block.created_at.isoformat(),
        "updatedAt": block.updated_at.isoformat(),
    }
