"""E2B's control API over HTTP (https://e2b.dev/docs/api-reference)."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InnkeeperError, InvalidRequest
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.e2b import template_routes
from innkeeper.services.e2b.bodies import json_object
from innkeeper.services.e2b.model import Refused
from innkeeper.services.e2b.service import E2b, Wanted, error_document, status_of

_PAGE_MAX = 1000
_SECOND_DIGITS = 11
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

Endpoint = Callable[[Request], Awaitable[Response]]
Work = Callable[[str, Request], Awaitable[Response]]


def api(e2b: E2b) -> Router:
    """For below any prefix: all paths are E2B's own."""
    of_one = "/sandboxes/{id}"
    table: list[tuple[str, str, Work]] = [
        ("POST", "/sandboxes", _create(e2b)),
        ("POST", "/v2/sandboxes", _create(e2b)),
        ("GET", "/sandboxes", _list(e2b)),
        ("GET", "/v2/sandboxes", _list(e2b)),
        ("GET", of_one, _get(e2b)),
        ("DELETE", of_one, _kill(e2b)),
        ("POST", f"{of_one}/connect", _connect(e2b)),
        ("POST", f"/v2{of_one}/connect", _connect(e2b)),
        ("POST", f"{of_one}/resume", _connect(e2b)),
        ("POST", f"{of_one}/pause", _pause(e2b)),
        ("POST", f"{of_one}/timeout", _set_timeout(e2b)),
        ("POST", f"{of_one}/refreshes", _set_timeout(e2b)),
        ("PUT", f"{of_one}/network", _set_network(e2b)),
        ("GET", f"{of_one}/metrics", _metrics(e2b)),
        ("POST", f"{of_one}/fork", _fork(e2b)),
        ("POST", f"{of_one}/snapshots", _snapshot(e2b)),
        ("GET", "/snapshots", _snapshots(e2b)),
        *template_routes.table(e2b),
    ]
    routes = [Route(path, _endpoint(e2b, work), methods=[method]) for method, path, work in table]
    return Router([template_routes.upload(e2b), *routes, Route("/{path:path}", _unknown, methods=METHODS)])


def _endpoint(e2b: E2b, work: Work) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            account = await e2b.keys.account_of(request.headers.get("x-api-key", ""))
            if account is None:
                raise Refused(401, "The API key is not one of this server's: see `innkeeper keys e2b`")
            return await work(account, request)
        except InnkeeperError as error:
            return JSONResponse(error_document(error), status_of(error))

    return endpoint


async def _unknown(request: Request) -> Response:
    message = f"{request.method} {request.url.path} is not supported"
    return JSONResponse({"code": 501, "message": message}, 501)


def _create(e2b: E2b) -> Work:
    async def create(account: str, request: Request) -> Response:
        return JSONResponse(await e2b.create(account, await json_object(request)), 201)

    return create


def _list(e2b: E2b) -> Work:
    async def show(account: str, request: Request) -> Response:
        return _page(await e2b.find(account, _wanted(request), _page_request(request)))

    return show


def _get(e2b: E2b) -> Work:
    async def get(account: str, request: Request) -> Response:
        return JSONResponse(await e2b.get(account, request.path_params["id"]))

    return get


def _kill(e2b: E2b) -> Work:
    async def kill(account: str, request: Request) -> Response:
        await e2b.kill(account, request.path_params["id"])
        return Response(status_code=204)

    return kill


def _connect(e2b: E2b) -> Work:
    async def connect(account: str, request: Request) -> Response:
        return JSONResponse(
            await e2b.connect(account, request.path_params["id"], await json_object(request)), 201
        )

    return connect


def _pause(e2b: E2b) -> Work:
    async def pause(account: str, request: Request) -> Response:
        await e2b.pause(account, request.path_params["id"], await json_object(request))
        return Response(status_code=204)

    return pause


def _set_timeout(e2b: E2b) -> Work:
    async def set_timeout(account: str, request: Request) -> Response:
        await e2b.set_timeout(account, request.path_params["id"], await json_object(request))
        return Response(status_code=204)

    return set_timeout


def _set_network(e2b: E2b) -> Work:
    async def set_network(account: str, request: Request) -> Response:
        await e2b.set_network(account, request.path_params["id"], await json_object(request))
        return Response(status_code=204)

    return set_network


def _metrics(e2b: E2b) -> Work:
    async def metrics(account: str, request: Request) -> Response:
        start, end = (_second(request.query_params.get(name)) for name in ("start", "end"))
        return JSONResponse(await e2b.metrics(account, request.path_params["id"], start, end))

    return metrics


def _fork(e2b: E2b) -> Work:
    async def fork(account: str, request: Request) -> Response:
        return JSONResponse(
            await e2b.fork(account, request.path_params["id"], await json_object(request)), 201
        )

    return fork


def _snapshot(e2b: E2b) -> Work:
    async def snapshot(account: str, request: Request) -> Response:
        made = await e2b.snapshot(account, request.path_params["id"], await json_object(request))
        return JSONResponse(made, 201)

    return snapshot


def _snapshots(e2b: E2b) -> Work:
    async def snapshots(account: str, request: Request) -> Response:
        query = request.query_params
        wanted = query.get("sandboxID", ""), query.get("name", "")
        return _page(await e2b.snapshots(account, *wanted, _page_request(request)))

    return snapshots


def _wanted(request: Request) -> Wanted:
    query = request.query_params
    pairs = parse_qsl(query.get("metadata", ""))
    return Wanted(
        states=tuple(filter(None, query.get("state", "").split(","))),
        metadata={unquote(name): unquote(value) for name, value in pairs},
        started_after=_moment(query.get("startedAfter")),
        template=query.get("template", ""),
        oldest_first=query.get("order") == "asc",
    )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest("`startedAfter` must be a moment in ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _second(text: str | None) -> datetime | None:
    """Of Unix time."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _SECOND_DIGITS):
        raise InvalidRequest("`start` and `end` must be seconds of Unix time")
    return datetime.fromtimestamp(int(text), UTC)


def _page_request(request: Request) -> PageRequest:
    limit = request.query_params.get("limit", "100")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 5 and 1 <= int(limit) <= _PAGE_MAX):
        raise InvalidRequest(f"`limit` must be 1 to {_PAGE_MAX}")
    return PageRequest.of(int(limit), request.query_params.get("nextToken"))


def _page(page: Page[Document]) -> Response:
    headers = {"x-next-token": page.next_token} if page.next_token else {}
    return JSONResponse(list(page.items), headers=headers)
