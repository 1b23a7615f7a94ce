"""The ledger as JSON: `GET /-/v1/usage`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import FieldError, InvalidRequest
from innkeeper.services.usage.model import Filter, Group, Kind, Rates, Used
from innkeeper.services.usage.service import Metering

DEFAULT_LINES = 100
MOST_LINES = 1000

Choice = TypeVar("Choice", bound=StrEnum)


def routes(metering: Metering) -> list[Route]:
    """The authenticated caller is in `request.state.caller`."""

    async def usage(request: Request) -> JSONResponse:
        """`?by=session|agent|kind`, `?limit=` lines; `kind`, `agent`, `session`, `from`, `to` narrow it."""
        query = request.query_params
        which = Filter(
            account=request.state.caller.account,
            kind=_choice(query, "kind", Kind),
            agent=query.get("agent"),
            session=query.get("session"),
            since=_moment(query, "from"),
            until=_moment(query, "to"),
        )
        group = _choice(query, "by", Group) or Group.SESSION
        report = await metering.report(which, group, _limit(query))
        shown = [{**line.names, **_used(line.used, metering.rates)} for line in report.lines]
        return JSONResponse({"usage": shown, "total": _used(report.total, metering.rates)})

    return [Route("/-/v1/usage", usage, methods=["GET"])]


def _used(used: Used, rates: Rates) -> Document:
    return {
        "seconds": round(used.seconds, 3),
        "cpuSeconds": round(used.cpu_seconds, 3),
        "memoryGbSeconds": round(used.memory_mib_seconds / 1024, 3),
        "memoryPeakMib": round(used.memory_peak_mib, 1),
        "costUsd": round(rates.cost(used), 6),
    }


def _choice(query: Mapping[str, str], name: str, choices: type[Choice]) -> Choice | None:
    if name not in query:
        return None
    try:
        return choices(query[name])
    except ValueError:
        raise _invalid(name, f"must be one of: {', '.join(choices)}") from None


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    """Without an offset it is UTC."""
    if name not in query:
        return None
    try:
        moment = datetime.fromisoformat(query[name])
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _invalid(name, "must be a date or a time, as 2026-01-31 or 2026-01-31T18:00:00Z") from None


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_LINES))
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_LINES:
        raise _invalid("limit", f"must be a number from 1 to {MOST_LINES}")
    return int(text)


def _invalid(member: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"Value at '{member}' is not allowed: {rule}", (FieldError(member, rule),))
