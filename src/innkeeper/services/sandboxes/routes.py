"""Sandboxes and snapshots as JSON below `/-/v1`, for the command line and for programs."""

import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.kernel.page import PageRequest
from innkeeper.services.sandboxes import commands, files
from innkeeper.services.sandboxes.body import Body
from innkeeper.services.sandboxes.commands import Order
from innkeeper.services.sandboxes.model import (
    BASE_TEMPLATE,
    DEFAULT_TIMEOUT_SECONDS,
    NewSandbox,
    OnTimeout,
    SandboxLimits,
    SandboxRecord,
    SandboxState,
    SnapshotRecord,
    invalid,
)
from innkeeper.services.sandboxes.service import Sandboxes

_COMMAND_SECONDS = 3600
_ONE = "/-/v1/sandboxes/{id}"


def routes(sandboxes: Sandboxes) -> list[Route]:
    """The authenticated caller is in `request.state.caller`."""
    return [*_life_routes(sandboxes), *_change_routes(sandboxes), *_snapshot_routes(sandboxes)]


def file_routes(sandboxes: Sandboxes, file_max_bytes: int) -> list[Route]:
    """Their bodies are whole files, or hold what a command reads."""

    async def get_file(request: Request) -> Response:
        async with sandboxes.use(*_named(request)) as sandbox:
            data = await files.read(sandbox, request.query_params.get("path", ""), file_max_bytes)
        return Response(data, media_type="application/octet-stream")

    async def put_file(request: Request) -> Response:
        data = await request.body()
        async with sandboxes.use(*_named(request)) as sandbox:
            await files.write(sandbox, request.query_params.get("path", ""), data)
        return Response(status_code=204)

    async def execute(request: Request) -> Response:
        order = _order(await Body.of(request))
        events = await commands.run(await sandboxes.live(*_named(request)), order)
        return StreamingResponse(_lines(events), media_type="application/x-ndjson")

    return [
        Route(f"{_ONE}/exec", execute, methods=["POST"]),
        Route(f"{_ONE}/files", get_file, methods=["GET"]),
        Route(f"{_ONE}/files", put_file, methods=["PUT"]),
    ]


def _life_routes(sandboxes: Sandboxes) -> list[Route]:
    async def create(request: Request) -> Response:
        body = await Body.of(request)
        egress = body.part("egress")
        listed = egress.egress() if egress else None
        made = await sandboxes.create(request.state.caller.account, _new(body), listed)
        return JSONResponse(_sandbox(made), 201)

    async def list_all(request: Request) -> Response:
        query = request.query_params
        states = [_state(word) for word in query.getlist("state")]
        wanted = dict(_pair(word) for word in query.getlist("metadata"))
        page = PageRequest.of(None, query.get("nextToken"))
        found = await sandboxes.list(request.state.caller.account, states, wanted, page)
        shown = [_sandbox(one) for one in found.items]
        return JSONResponse({"sandboxes": shown, "nextToken": found.next_token})

    async def get(request: Request) -> Response:
        record = await sandboxes.get(*_named(request))
        used = await sandboxes.usage(*_named(request))
        usage = {
            "cpuSeconds": round(used.cpu_seconds, 3),
            "memoryMib": round(used.memory_mib, 1),
            "memoryPeakMib": round(used.memory_peak_mib, 1),
            "processes": used.processes,
        }
        listed = sandboxes.egress(record)  # its secrets are not told
        egress = {"domains": [*listed.domains], "cidrs": [*listed.cidrs]}
        told = {"egress": egress} if record.network == "listed" else {}
        return JSONResponse({**_sandbox(record), **told, "usage": usage})

    async def kill(request: Request) -> Response:
        return JSONResponse(_sandbox(await sandboxes.kill(*_named(request))))

    return [
        Route("/-/v1/sandboxes", create, methods=["POST"]),
        Route("/-/v1/sandboxes", list_all, methods=["GET"]),
        Route(_ONE, get, methods=["GET"]),
        Route(_ONE, kill, methods=["DELETE"]),
    ]


def _change_routes(sandboxes: Sandboxes) -> list[Route]:
    async def pause(request: Request) -> Response:
        return JSONResponse(_sandbox(await sandboxes.pause(*_named(request))))

    async def hibernate(request: Request) -> Response:
        return JSONResponse(_sandbox(await sandboxes.hibernate(*_named(request))))

    async def resume(request: Request) -> Response:
        seconds = (await Body.of(request)).number("timeoutSeconds")
        return JSONResponse(_sandbox(await sandboxes.resume(*_named(request), timeout_seconds=seconds)))

    async def put_off(request: Request) -> Response:
        seconds = (await Body.of(request)).number("timeoutSeconds")
        if seconds is None:
            raise invalid("timeoutSeconds", "is needed")
        return JSONResponse(_sandbox(await sandboxes.set_timeout(*_named(request), seconds)))

    async def set_egress(request: Request) -> Response:
        told = (await Body.of(request)).egress()
        kept = sandboxes.egress(await sandboxes.get(*_named(request))).secrets  # they are not told of here
        egress = replace(told, secrets=kept)
        return JSONResponse(_sandbox(await sandboxes.set_egress(*_named(request), egress)))

    async def snapshot(request: Request) -> Response:
        name = (await Body.of(request)).text("name")
        return JSONResponse(_snapshot(await sandboxes.snapshot(*_named(request), name)), 201)

    async def fork(request: Request) -> Response:
        count = (await Body.of(request)).number("count")
        made = await sandboxes.fork(*_named(request), 1 if count is None else count)
        return JSONResponse({"sandboxes": [_sandbox(one) for one in made]}, 201)

    changes = {
        "pause": pause,
        "hibernate": hibernate,
        "resume": resume,
        "timeout": put_off,
        "egress": set_egress,
        "snapshot": snapshot,
        "fork": fork,
    }
    return [Route(f"{_ONE}/{word}", change, methods=["POST"]) for word, change in changes.items()]


def _snapshot_routes(sandboxes: Sandboxes) -> list[Route]:
    async def list_all(request: Request) -> Response:
        page = PageRequest.of(None, request.query_params.get("nextToken"))
        found = await sandboxes.snapshots(request.state.caller.account, page)
        shown = [_snapshot(one) for one in found.items]
        return JSONResponse({"snapshots": shown, "nextToken": found.next_token})

    async def get(request: Request) -> Response:
        return JSONResponse(_snapshot(await sandboxes.get_snapshot(*_named(request))))

    async def delete(request: Request) -> Response:
        await sandboxes.delete_snapshot(*_named(request))
        return Response(status_code=204)

    return [
        Route("/-/v1/snapshots", list_all, methods=["GET"]),
        Route("/-/v1/snapshots/{id}", get, methods=["GET"]),
        Route("/-/v1/snapshots/{id}", delete, methods=["DELETE"]),
    ]


def _named(request: Request) -> tuple[str, str]:
    return request.state.caller.account, request.path_params["id"]


def _new(body: Body) -> NewSandbox:
    limits, seconds = body.part("limits"), body.number("timeoutSeconds")
    return NewSandbox(
        template=body.text("template") or BASE_TEMPLATE,
        timeout_seconds=DEFAULT_TIMEOUT_SECONDS if seconds is None else seconds,
        metadata=body.texts("metadata"),
        environment=body.texts("environment"),
        network=body.text("network"),
        limits=_limits(limits) if limits else None,
        on_timeout=_on_timeout(body.text("onTimeout") or OnTimeout.KILL),
    )


def _limits(body: Body) -> SandboxLimits:
    cores, memory = body.number("cpuCores", float), body.number("memoryMib")
    if cores is None or memory is None:
        raise invalid("limits", "has cpuCores and memoryMib")
    return SandboxLimits(cores, memory)


def _on_timeout(word: str) -> OnTimeout:
    if word not in (OnTimeout.KILL, OnTimeout.PAUSE):
        raise invalid("onTimeout", "must be kill or pause")
    return OnTimeout(word)


def _order(body: Body) -> Order:
    seconds = body.number("timeoutSeconds", float)
    if seconds is not None and not 0 < seconds <= _COMMAND_SECONDS:
        raise invalid("timeoutSeconds", f"must be more than 0 and at most {_COMMAND_SECONDS}")
    try:
        stdin = base64.b64decode(body.text("stdin") or "", validate=True)
    except binascii.Error as error:
        raise invalid("stdin", "must be base64") from error
    return Order(
        argv=body.words("argv"),
        timeout_seconds=seconds or _COMMAND_SECONDS,
        environment=body.texts("environment"),
        working_directory=body.text("workingDirectory"),
        stdin=stdin,
    )


def _state(word: str) -> SandboxState:
    if word not in tuple(SandboxState):
        raise InvalidRequest(f"`state` must be one of {', '.join(SandboxState)}")
    return SandboxState(word)


def _pair(word: str) -> tuple[str, str]:
    key, found, value = word.partition("=")
    if not found:
        raise InvalidRequest("`metadata` must be KEY=VALUE")
    return key, value


async def _lines(events: AsyncIterator[Document]) -> AsyncIterator[bytes]:
    async for event in events:
        yield json.dumps(event).encode() + b"\n"


def _sandbox(record: SandboxRecord) -> Document:
    return {
        "id": record.id,
        "template": record.template,
        "state": record.state,
        "metadata": dict(record.metadata),
        "network": record.network,
        "limits": {"cpuCores": record.limits.cpu_cores, "memoryMib": record.limits.memory_mib},
        "onTimeout": OnTimeout.KILL if record.on_timeout is OnTimeout.KILL else OnTimeout.PAUSE,
        "startedAt": record.started_at.isoformat(),
        "endsAt": record.ends_at.isoformat(),
        "endedAt": _time(record.ended_at),
        "endReason": record.end_reason,
    }


def _snapshot(record: SnapshotRecord) -> Document:
    return {
        "id": record.id,
        "name": record.name,
        "sandbox": record.sandbox,
        "template": record.template,
        "network": record.network,
        "kind": record.kind,
        "sizeBytes": record.size_bytes,
        "createdAt": record.created_at.isoformat(),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
