"""The native route that gives out URLs with their tokens: `POST /-/v1/web`."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from innkeeper.kernel.errors import FieldError, InvalidRequest
from innkeeper.services.web.model import DEFAULT_TOKEN_SECONDS, url_of
from innkeeper.services.web.service import WebServices


def routes(services: WebServices) -> list[Route]:
    """The authenticated caller is in `request.state.caller`."""

    async def grant(request: Request) -> JSONResponse:
        """`{"id", "port", "seconds"}`: a `url` for clients that send the `token`, a `link` for a browser."""
        members = await _members(request)
        id_ = members.get("id")
        if not isinstance(id_, str):
            raise _invalid("id", "must be the id of a session or of a sandbox")
        port = _number(members, "port", None, 65_535)
        longest = services.rules.token_seconds
        seconds = _number(members, "seconds", min(DEFAULT_TOKEN_SECONDS, longest), longest)
        granted = await services.grant(request.state.caller.account, id_, port, seconds)
        origin = f"{request.url.scheme}://{request.headers.get('host', '')}"
        url = url_of(granted.place, origin, services.rules.domain)
        shown = {
            "id": granted.place.id,
            "port": port,
            "url": url,
            "token": granted.token,
            "link": f"{url}?token={granted.token}",
            "expiresAt": granted.expires_at.isoformat(),
        }
        return JSONResponse(shown, 201, {"cache-control": "no-store"})

    return [Route("/-/v1/web", grant, methods=["POST"])]


async def _members(request: Request) -> dict[str, Any]:
    try:
        members = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body must be a JSON object") from error
    if not isinstance(members, dict):
        raise InvalidRequest("The body must be a JSON object")
    return members


def _number(members: dict[str, Any], name: str, otherwise: int | None, most: int) -> int:
    value = members.get(name, otherwise)
    if type(value) is not int or not 1 <= value <= most:
        raise _invalid(name, f"must be a number from 1 to {most}")
    return value


def _invalid(member: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"Value at '{member}' is not allowed: {rule}", (FieldError(member, rule),))
