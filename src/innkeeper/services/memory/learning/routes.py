"""What memories learn, as JSON below `/-/v1/memories/MEMORY`: the jobs, and where a record comes from."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.learning.model import shown
from innkeeper.services.memory.learning.service import Learning
from innkeeper.services.memory.members import check_known, optional_text
from innkeeper.services.memory.records.model import Record
from innkeeper.services.memory.service import Memories

_FILTERS = frozenset({"status", "strategyId", "actorId", "sessionId"})
_TEXT_MAX = 255


def learning_routes(memories: Memories, learning: Learning) -> list[Route]:
    """The authenticated caller is in `request.state.caller`. A memory goes by its name or its id."""

    async def jobs(request: Request) -> Response:
        """`?status=`, `&strategyId=`, `&actorId=`, `&sessionId=` narrow them; the newest come first."""
        query = dict(request.query_params)
        page = PageRequest.of(None, query.pop("nextToken", None))
        check_known(query, _FILTERS)
        asked = {name: optional_text(query, name, _TEXT_MAX) for name in query}
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        found = await learning.jobs(memory, asked, page)
        return JSONResponse({"jobs": list(map(shown, found.items)), "nextToken": found.next_token})

    async def history(request: Request) -> Response:
        """The record with all that it replaced and all that replaced it, the oldest first."""
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        found = await learning.history(memory, request.path_params["record"])
        return JSONResponse({"records": [_record(record, said) for record, said in found]})

    return [
        Route("/-/v1/memories/{memory}/jobs", jobs, methods=["GET"]),
        Route("/-/v1/memories/{memory}/records/{record}/history", history, methods=["GET"]),
    ]


def _record(record: Record, said: Sequence[Turn]) -> Document:
    """`sources` are the turns of its events that are still there."""
    return {
        "memoryRecordId": record.record_id,
        "namespace": record.namespace,
        "text": record.text,
        "status": record.status,
        "trust": record.trust,
        "timestamp": record.happened_at.isoformat(),
        "learnedAt": record.created_at.isoformat(),
        "validFrom": record.valid_from.isoformat(),
        "validTo": record.valid_to and record.valid_to.isoformat(),
        "supersededBy": record.superseded_by,
        "sourceEventIds": record.source_event_ids,
        "sources": [
            {
                "eventId": turn.event_id,
                "actorId": turn.actor,
                "sessionId": turn.session,
                "role": turn.role,
                "text": turn.text,
                "at": turn.happened_at.isoformat(),
            }
            for turn in said
        ],
    }
