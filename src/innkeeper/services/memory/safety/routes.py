"""The safety of memories as JSON, below `/-/v1/memories/{memory}`."""

import json
from dataclasses import asdict
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.members import check_known, members_of, optional_text, text
from innkeeper.services.memory.model import Memory, invalid
from innkeeper.services.memory.records.model import Record
from innkeeper.services.memory.safety.audit import Report
from innkeeper.services.memory.safety.held import Held
from innkeeper.services.memory.safety.model import Change
from innkeeper.services.memory.safety.policy import shown
from innkeeper.services.memory.safety.review import Review
from innkeeper.services.memory.safety.service import Safety
from innkeeper.services.memory.service import Memories

_MEMORY = "/-/v1/memories/{memory}"
_TIME_MAX, _PATH_MAX = 64, 1024


def safety_routes(memories: Memories, safety: Safety, review: Review) -> list[Route]:
    """The authenticated caller is in `request.state.caller`. A memory goes by its name or its id."""

    async def policy(request: Request) -> Response:
        memory = await _active(request)
        if request.method == "PUT":
            return JSONResponse(shown(await safety.put_policy(memory, members_of(await request.body()))))
        return JSONResponse(shown(await safety.policy(memory)))

    async def quarantine(request: Request) -> Response:
        found = await review.quarantine(await _active(request), _page(request))
        records = [_record(one) for one in found.items if isinstance(one, Record)]
        texts = [_held(one) for one in found.items if isinstance(one, Held)]
        return JSONResponse({"records": records, "held": texts, "nextToken": found.next_token})

    async def release(request: Request) -> Response:
        id_ = request.path_params["record"]
        one = await review.release(request.state.caller, await _active(request), id_)
        return JSONResponse(_record(one) if isinstance(one, Record) else _held(one))

    async def reject(request: Request) -> Response:
        id_ = request.path_params["record"]
        await review.reject(request.state.caller, await _active(request), id_)
        return JSONResponse({"rejected": id_})

    async def changes(request: Request) -> Response:
        """`?memoryRecordId=` for those of one record."""
        record_id = request.query_params.get("memoryRecordId")
        found = await safety.changes(await _active(request), record_id, _page(request))
        return JSONResponse({"changes": list(map(_change, found.items)), "nextToken": found.next_token})

    async def check(request: Request) -> Response:
        return JSONResponse(_report(await safety.check(await _active(request))))

    async def roll_back(request: Request) -> Response:
        """A body with `to`, an ISO 8601 time with its zone, and perhaps `namespacePath` and `dryRun`."""
        memory, members = await _active(request), members_of(await request.body())
        check_known(members, {"to", "namespacePath", "dryRun"})
        dry = members.get("dryRun", False)
        if not isinstance(dry, bool):
            raise invalid("dryRun", "must be true or false")
        moment, path = _moment(members), optional_text(members, "namespacePath", _PATH_MAX)
        undone = await safety.roll_back(request.state.caller, memory, moment, path, dry=dry)
        return JSONResponse({"to": moment.isoformat(), "dryRun": dry, **asdict(undone)})

    async def _active(request: Request) -> Memory:
        caller = request.state.caller
        named = await memories.named(caller, request.path_params["memory"])
        return await memories.active(caller, named.id)

    return [
        Route(f"{_MEMORY}/safety", policy, methods=["GET", "PUT"]),
        Route(f"{_MEMORY}/quarantine", quarantine, methods=["GET"]),
        Route(f"{_MEMORY}/quarantine/{{record}}/release", release, methods=["POST"]),
        Route(f"{_MEMORY}/quarantine/{{record}}/reject", reject, methods=["POST"]),
        Route(f"{_MEMORY}/changes", changes, methods=["GET"]),
        Route(f"{_MEMORY}/changes/check", check, methods=["GET"]),
        Route(f"{_MEMORY}/rollback", roll_back, methods=["POST"]),
    ]


def _page(request: Request) -> PageRequest:
    return PageRequest.of(None, request.query_params.get("nextToken"))


def _moment(members: Document) -> datetime:
    try:
        moment = datetime.fromisoformat(text(members, "to", _TIME_MAX))
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise invalid("to", "must be an ISO 8601 time with its zone, like 2026-05-01T12:00:00Z")
    return moment


def _record(record: Record) -> Document:
    return {
        "memoryRecordId": record.record_id,
        "namespace": record.namespace,
        "memoryStrategyId": record.strategy,
        "text": record.text,
        "trust": record.trust,
        "status": record.status,
        "concerns": record.concerns,
        "sourceEventIds": record.source_event_ids,
        "createdAt": record.created_at.isoformat(),
    }


def _held(held: Held) -> Document:
    return {
        "id": held.id,
        "kind": held.kind,
        "actor": held.actor,
        "session": held.session or None,
        "name": held.name,
        "number": held.number,
        "text": held.text,
        "concerns": list(held.concerns),
        "createdAt": held.created_at.isoformat(),
    }


def _report(report: Report) -> Document:
    faults = [
        {"memoryRecordId": one.record_id, "sequence": one.sequence, "what": one.what} for one in report.faults
    ]
    return {
        "intact": not faults,
        "changes": report.changes,
        "erased": report.erased,
        "shortened": report.shortened,
        "records": report.records,
        "beforeHistory": report.before_history,
        "adoptedAt": report.adopted_at and report.adopted_at.isoformat(),
        "head": report.head,
        "faults": faults,
    }


def _change(change: Change) -> Document:
    return {
        "sequence": change.sequence,
        "memoryRecordId": change.record_id,
        "at": change.at.isoformat(),
        "by": change.by,
        "action": change.action,
        "before": change.before and json.loads(change.before),
        "erased": change.erased is not None,
        "shortened": change.shortened is not None,
        "mac": change.mac,
    }
