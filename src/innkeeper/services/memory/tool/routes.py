"""The way to a memory as a tool: tokens for the account's owner, and the door that they open."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from innkeeper.kernel.call import Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.members import check_known, members_of, number, optional_text, text
from innkeeper.services.memory.model import invalid
from innkeeper.services.memory.records.model import Trust
from innkeeper.services.memory.service import Memories
from innkeeper.services.memory.tool.mcp import TEXT_MAX, MemoryServer, record_shown
from innkeeper.services.memory.tool.model import Holder, ToolToken
from innkeeper.services.memory.tool.service import MemoryTool
from innkeeper.services.memory.tool.tokens import ToolTokens

_PATH = "/-/v1/memories/{memory}"
_ACTOR_MAX = 255
_SECONDS_MAX = 90 * 86_400
_SECONDS = 86_400
_HANDS = {"agent": Trust.ASSISTANT, "person": Trust.USER}


def tool_routes(memories: Memories, tool: MemoryTool, tokens: ToolTokens) -> list[Route]:
    """For the account's owner, on behalf of an actor."""

    async def issue(request: Request) -> Response:
        """`actor`, and perhaps `for` (`agent`, or `person` for its own hand) and `seconds`."""
        members = members_of(await request.body())
        check_known(members, {"actor", "for", "seconds"})
        hand = members.get("for", "agent")
        if hand not in _HANDS:
            raise invalid("for", f"must be one of: {', '.join(_HANDS)}")
        holder = await _holder(request, text(members, "actor", _ACTOR_MAX), _HANDS[hand])
        made, token = await tokens.issue(holder, number(members, "seconds", 1, _SECONDS_MAX, _SECONDS))
        url = f"{request.url.scheme}://{request.url.netloc}/-/v1/memories/{holder.memory}/mcp"
        return JSONResponse({"url": url, "token": token, **_token(made)}, 201)

    async def list_tokens(request: Request) -> Response:
        members = dict(request.query_params)
        check_known(members, {"actor", "nextToken"})
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        page = PageRequest.of(None, members.get("nextToken"))
        found = await tokens.list(memory, optional_text(members, "actor", _ACTOR_MAX), page)
        return JSONResponse({"tokens": list(map(_token, found.items)), "nextToken": found.next_token})

    async def revoke(request: Request) -> Response:
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        await tokens.revoke(memory, request.path_params["token"])
        return Response(status_code=204)

    async def list_records(request: Request) -> Response:
        members = dict(request.query_params)
        check_known(members, {"actor", "nextToken"})
        holder = await _holder(request, text(members, "actor", _ACTOR_MAX), Trust.USER)
        page = await tool.list(holder, PageRequest.of(None, members.get("nextToken")))
        shown = list(map(record_shown, page.items))
        return JSONResponse({"records": shown, "nextToken": page.next_token})

    async def correct(request: Request) -> Response:
        members = members_of(await request.body())
        check_known(members, {"actor", "text"})
        holder = await _holder(request, text(members, "actor", _ACTOR_MAX), Trust.USER)
        record = request.path_params["record"]
        return JSONResponse(record_shown(await tool.correct(holder, record, text(members, "text", TEXT_MAX))))

    async def forget(request: Request) -> Response:
        members = dict(request.query_params)
        check_known(members, {"actor"})
        holder = await _holder(request, text(members, "actor", _ACTOR_MAX), Trust.USER)
        await tool.forget(holder, request.path_params["record"])
        return Response(status_code=204)

    async def _holder(request: Request, actor: str, trust: Trust) -> Holder:
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        return Holder(memory.account, memory.id, actor, trust)

    return [
        Route(f"{_PATH}/tokens", issue, methods=["POST"]),
        Route(f"{_PATH}/tokens", list_tokens, methods=["GET"]),
        Route(f"{_PATH}/tokens/{{token}}", revoke, methods=["DELETE"]),
        Route(f"{_PATH}/records", list_records, methods=["GET"]),
        Route(f"{_PATH}/records/{{record}}", correct, methods=["PATCH"]),
        Route(f"{_PATH}/records/{{record}}", forget, methods=["DELETE"]),
    ]


class ToolDoor:
    """Lets in who has a token of the memory that the path names."""

    def __init__(self, server: MemoryServer, tokens: ToolTokens) -> None:
        self._server = server
        self._tokens = tokens

    @property
    def route(self) -> Route:
        return Route(f"{_PATH}/mcp", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        holder = await self._tokens.read(token) if scheme.lower() == "bearer" else None
        if holder is None or holder.memory != request.path_params["memory"]:
            answer = JSONResponse(
                {"message": "A token of this memory is needed: innkeeper memory token NAME --actor ACTOR"},
                401,
                {"www-authenticate": 'Bearer realm="innkeeper-memory"'},
            )
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["holder"] = holder
        await self._server(scope, receive, send)


def _token(token: ToolToken) -> Document:
    hands = {trust: hand for hand, trust in _HANDS.items()}
    return {
        "id": token.id,
        "actor": token.holder.actor,
        "for": hands[token.holder.trust],
        "createdAt": token.created_at.isoformat(),
        "expiresAt": token.expires_at.isoformat(),
    }
