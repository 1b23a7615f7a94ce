"""Native routes of sessions' snapshots, below `/-/v1/runtimes/{id}`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.runtime.model import SessionRecord, SessionSnapshot
from innkeeper.services.runtime.routes import session_of, text_members
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.snapshots import Snapshots

_SNAPSHOTS = "/-/v1/runtimes/{id}/snapshots"
_SESSIONS = "/-/v1/runtimes/{id}/sessions"


def snapshot_routes(sessions: Sessions, snapshots: Snapshots) -> list[Route]:
    """The authenticated caller is in `request.state.caller`."""

    async def found(request: Request, word: str) -> SessionSnapshot:
        return await snapshots.get(request.state.caller.account, request.path_params["id"], word)

    async def take(request: Request) -> Response:
        members = await text_members(request, optional=("name",))
        record = await session_of(sessions, request)
        return JSONResponse(_snapshot(await snapshots.take(record, members.get("name"))), 201)

    async def put_back(request: Request) -> Response:
        members = await text_members(request, needed=("snapshot",))
        record = await session_of(sessions, request)
        return JSONResponse(
            _state(await snapshots.put_back(record, await found(request, members["snapshot"])))
        )

    async def start(request: Request) -> Response:
        members = await text_members(request, needed=("snapshot",), optional=("sessionId", "endpoint"))
        snapshot = await found(request, members["snapshot"])
        made = await snapshots.start(snapshot, members.get("sessionId"), members.get("endpoint"))
        return JSONResponse(_state(made), 201)

    async def list_all(request: Request) -> Response:
        account, runtime_id = request.state.caller.account, request.path_params["id"]
        page = PageRequest.of(None, request.query_params.get("nextToken"))
        listed = await snapshots.list(account, runtime_id, page)
        shown = [_snapshot(one) for one in listed.items]
        return JSONResponse({"snapshots": shown, "nextToken": listed.next_token})

    async def get(request: Request) -> Response:
        return JSONResponse(_snapshot(await found(request, request.path_params["snapshot"])))

    async def delete(request: Request) -> Response:
        await snapshots.delete(await found(request, request.path_params["snapshot"]))
        return Response(status_code=204)

    return [
        Route(_SESSIONS, start, methods=["POST"]),
        Route(f"{_SESSIONS}/{{session}}/snapshot", take, methods=["POST"]),
        Route(f"{_SESSIONS}/{{session}}/restore", put_back, methods=["POST"]),
        Route(_SNAPSHOTS, list_all, methods=["GET"]),
        Route(f"{_SNAPSHOTS}/{{snapshot}}", get, methods=["GET"]),
        Route(f"{_SNAPSHOTS}/{{snapshot}}", delete, methods=["DELETE"]),
    ]


def _state(record: SessionRecord) -> Document:
    key = record.key
    return {"sessionId": key.session_id, "endpoint": key.endpoint, "status": record.status}


def _snapshot(snapshot: SessionSnapshot) -> Document:
    return {
        "id": snapshot.id,
        "name": snapshot.name,
        "sessionId": snapshot.session_id,
        "endpoint": snapshot.endpoint,
        "version": str(snapshot.version),
        "kind": "memory",
        "sizeBytes": snapshot.size_bytes,
        "createdAt": snapshot.created_at.isoformat(),
    }
