"""Native routes of the runtime: sessions, their logs, and RFC 9728 metadata of agents that take JWTs."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest, NotFound
from innkeeper.kernel.page import PageRequest
from innkeeper.kernel.text import storable
from innkeeper.services.runtime.access import Access
from innkeeper.services.runtime.forks import Forks
from innkeeper.services.runtime.model import SessionKey, SessionRecord, SessionStatus
from innkeeper.services.runtime.service import Runtimes
from innkeeper.services.runtime.session_log import read_log
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.sockets import Sockets


def agent_routes(access: Access, sockets: Sockets) -> list[BaseRoute]:
    """Beside the AWS wire's own paths below `/runtimes`."""

    async def metadata(request: Request) -> Response:
        found = await access.protected_resource_metadata(
            request.path_params["arn"],
            request.query_params.get("qualifier"),
            request.headers.get("host", ""),
        )
        return JSONResponse(found)

    path = "/runtimes/{arn:path}"
    return [
        Route(f"{path}/invocations/.well-known/oauth-protected-resource", metadata),
        WebSocketRoute(f"{path}/ws/shells", sockets.shell),
        WebSocketRoute(f"{path}/ws", sockets.agent),
    ]


def native_routes(runtimes: Runtimes, sessions: Sessions, forks: Forks) -> list[Route]:
    """Below `/-/v1/runtimes`; the authenticated caller is in `request.state.caller`."""

    async def list_sessions(request: Request) -> Response:
        account, runtime_id = request.state.caller.account, request.path_params["id"]
        await runtimes.get(account, runtime_id)
        page = await sessions.list(
            account, runtime_id, PageRequest.of(None, request.query_params.get("nextToken"))
        )
        shown = {"sessions": [_session(one) for one in page.items], "nextToken": page.next_token}
        return JSONResponse(shown)

    find = partial(session_of, sessions)

    async def pause(request: Request) -> Response:
        session = sessions.get((await find(request)).key)
        await sessions.lives.pause(session)
        return JSONResponse(_state(session.key, session.status))

    async def hibernate(request: Request) -> Response:
        record = await find(request)
        if record.status is not SessionStatus.HIBERNATED:
            await sessions.hibernate(sessions.get(record.key))
        return JSONResponse(_state(record.key, SessionStatus.HIBERNATED))

    async def resume(request: Request) -> Response:
        record = await find(request)
        if record.status is SessionStatus.HIBERNATED:
            await sessions.wake(record.key)
        session = sessions.get(record.key)
        await sessions.lives.resume(session)
        return JSONResponse(_state(session.key, session.status))

    async def fork(request: Request) -> Response:
        members = await text_members(request, optional=("sessionId",))
        child = await forks.fork(await find(request), members.get("sessionId"))
        return JSONResponse(_state(child.key, child.status))

    async def logs(request: Request) -> Response:
        record = await find(request)
        follow = request.query_params.get("follow") == "true"
        ended = sessions.ended(record) if follow else None
        return StreamingResponse(read_log(sessions.log_path(record), ended), media_type="text/plain")

    return [
        Route("/-/v1/runtimes/{id}/sessions", list_sessions, methods=["GET"]),
        Route("/-/v1/runtimes/{id}/sessions/{session}/logs", logs),
        Route("/-/v1/runtimes/{id}/sessions/{session}/pause", pause, methods=["POST"]),
        Route("/-/v1/runtimes/{id}/sessions/{session}/hibernate", hibernate, methods=["POST"]),
        Route("/-/v1/runtimes/{id}/sessions/{session}/resume", resume, methods=["POST"]),
        Route("/-/v1/runtimes/{id}/sessions/{session}/fork", fork, methods=["POST"]),
    ]


async def session_of(sessions: Sessions, request: Request) -> SessionRecord:
    """The latest life of the session that the path names. Raises NotFound."""
    account, runtime_id = request.state.caller.account, request.path_params["id"]
    session_id = request.path_params["session"]
    record = await sessions.find(account, runtime_id, session_id, request.query_params.get("endpoint"))
    if record is None:
        raise NotFound(f"Agent runtime {runtime_id} had no session {session_id}")
    return record


async def text_members(
    request: Request, needed: Sequence[str] = (), optional: Sequence[str] = ()
) -> dict[str, str]:
    """Those of the body that have a value; no body is an empty object. Raises InvalidRequest."""
    try:
        members = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise InvalidRequest("The body must be a JSON object")
    found = {name: members[name] for name in (*needed, *optional) if members.get(name) is not None}
    for name in (*(one for one in needed if one not in found), *found):
        if not isinstance(found.get(name), str) or not storable(found[name]):
            raise InvalidRequest(f"`{name}` must be a text{'' if name in optional else ', and is needed'}")
    return found


def _state(key: SessionKey, status: SessionStatus) -> Document:
    return {"sessionId": key.session_id, "endpoint": key.endpoint, "status": status}


def _session(record: SessionRecord) -> Document:
    return {
        "sessionId": record.key.session_id,
        "endpoint": record.key.endpoint,
        "version": str(record.version),
        "status": record.status,
        "startedAt": _time(record.started_at),
        "lastUsedAt": _time(record.last_used_at),
        "endedAt": _time(record.ended_at),
        "endReason": record.end_reason,
        "cpuSeconds": round(record.cpu_seconds, 3),
        "memoryPeakMib": round(record.memory_peak_mib, 1),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
