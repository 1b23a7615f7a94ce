"""The stream of records as JSON, below `/-/v1/memories/MEMORY/stream`: one long poll after another."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.services.memory.members import check_known, number
from innkeeper.services.memory.model import invalid
from innkeeper.services.memory.service import Memories
from innkeeper.services.memory.stream.service import Stream

_MEMBERS = frozenset({"after", "limit", "waitSeconds"})
_LIMIT, _LIMIT_MAX = 100, 1000
_WAIT_MAX = 30


def stream_routes(memories: Memories, stream: Stream) -> list[Route]:
    """The authenticated caller is in `request.state.caller`. A memory goes by its name or its id."""

    async def read(request: Request) -> Response:
        """`?after=` the place of the last answer, `&limit=`, `&waitSeconds=` for the first change."""
        query = dict(request.query_params)
        check_known(query, _MEMBERS)
        members: Document = {name: _whole(name, value) for name, value in query.items()}
        after = number(members, "after", 0, 1 << 62, 0)
        limit = number(members, "limit", 1, _LIMIT_MAX, _LIMIT)
        wait = timedelta(seconds=number(members, "waitSeconds", 0, _WAIT_MAX, 0))
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        place, events = await stream.after(memory, after, limit, wait)
        return JSONResponse({"events": events, "after": place})

    return [Route("/-/v1/memories/{memory}/stream", read, methods=["GET"])]


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise invalid(name, "must be a whole number")
    return int(value)
