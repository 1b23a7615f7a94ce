"""The search over records as JSON, below `/-/v1/memories/MEMORY`: also for what was true at a time."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.services.memory.members import check_known, members_of, number, optional_text, text
from innkeeper.services.memory.model import invalid
from innkeeper.services.memory.namespaces import Scope
from innkeeper.services.memory.recall.hit import Hit
from innkeeper.services.memory.recall.service import TOP_K, Recall
from innkeeper.services.memory.records.model import Record
from innkeeper.services.memory.service import Memories

_QUERY_MAX = 10_000
_LIMIT_MAX = 100
_PATH_MAX = 1024
_TIME_MAX = 64
_MEMBERS = frozenset({"query", "namespace", "namespacePath", "limit", "asOf"})


def recall_routes(memories: Memories, recall: Recall) -> list[Route]:
    """The authenticated caller is in `request.state.caller`. A memory goes by its name or its id."""

    async def search(request: Request) -> Response:
        """A body with `query`, and perhaps `namespace` or `namespacePath`, `limit`, and `asOf`, a time: what
        was true then."""
        members = members_of(await request.body())
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        check_known(members, _MEMBERS)
        names = ("namespace", "namespacePath")
        places = {name: text(members, name, _PATH_MAX) for name in names if name in members}
        hits = await recall.records(
            memory,
            text(members, "query", _QUERY_MAX),
            Scope.of(places or {"namespacePath": "/"}),
            number(members, "limit", 1, _LIMIT_MAX, TOP_K),
            _moment(members, "asOf"),
        )
        return JSONResponse({"records": [_record(hit) for hit in hits]})

    return [Route("/-/v1/memories/{memory}/records/search", search, methods=["POST"])]


def _record(hit: Hit[Record]) -> Document:
    record = hit.item
    return {
        "memoryRecordId": record.record_id,
        "namespace": record.namespace,
        "text": record.text,
        "at": record.happened_at.isoformat(),
        "validTo": record.valid_to and record.valid_to.isoformat(),
        "trust": record.trust,
        "score": hit.score,
        "why": hit.parts,
    }


def _moment(members: Document, name: str) -> datetime | None:
    """None when it is not there; without a zone it is in UTC. Raises InvalidRequest."""
    given = optional_text(members, name, _TIME_MAX)
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise invalid(name, "must be a time in ISO 8601, such as 2026-01-31T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
