"""Template builds of E2B's control API over HTTP."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.errors import InnkeeperError, InvalidRequest
from innkeeper.services.e2b.bodies import json_object
from innkeeper.services.e2b.model import Refused
from innkeeper.services.e2b.service import E2b, error_document, status_of

_USE = "upload"
_OFFSET_DIGITS = 6

Work = Callable[[str, Request], Awaitable[Response]]


def table(e2b: E2b) -> list[tuple[str, str, Work]]:
    of_one, of_build = "/templates/{id}", "/templates/{id}/builds/{build}"
    return [
        ("POST", "/v3/templates", _request(e2b)),
        ("GET", f"{of_one}/files/{{hash}}", _link(e2b)),
        ("POST", f"/v2{of_build}", _start(e2b)),
        ("GET", f"{of_build}/status", _status(e2b)),
        ("GET", "/templates", _list(e2b)),
        ("GET", "/templates/aliases/{alias:path}", _alias(e2b)),
        ("POST", "/templates/tags", _assign_tags(e2b)),
        ("DELETE", "/templates/tags", _remove_tags(e2b)),
        ("GET", f"{of_one}/tags", _tags(e2b)),
        ("DELETE", "/templates/{id:path}", _delete(e2b)),
    ]


def upload(e2b: E2b) -> Route:
    """Where `_link` leads: no key goes along."""

    async def put(request: Request) -> Response:
        files_hash = request.path_params["hash"]
        try:
            token = request.query_params.get("token", "")
            account = e2b.keys.token_account(token, files_hash, _USE)
            if account is None:
                raise Refused(401, "the token is not one for these files")
            await e2b.builds.uploads.put(account, files_hash, request.stream())
        except InnkeeperError as error:
            return JSONResponse(error_document(error), status_of(error))
        return Response(status_code=201)

    return Route("/templates/{id}/files/{hash}", put, methods=["PUT"])


def _request(e2b: E2b) -> Work:
    async def request_build(account: str, request: Request) -> Response:
        return JSONResponse(await e2b.builds.request(account, await json_object(request)), 202)

    return request_build


def _link(e2b: E2b) -> Work:
    async def link(account: str, request: Request) -> Response:
        files_hash = request.path_params["hash"]
        present = await e2b.builds.uploads.has(account, files_hash)
        url = request.url.include_query_params(token=e2b.keys.token(account, files_hash, _USE))
        if e2b.rules.domain and url.hostname == f"api.{e2b.rules.domain}":
            url = url.replace(scheme="https")
        return JSONResponse({"present": present, "url": str(url)}, 201)

    return link


def _start(e2b: E2b) -> Work:
    async def start(account: str, request: Request) -> Response:
        path = request.path_params
        await e2b.builds.start(account, path["id"], path["build"], await json_object(request))
        return Response(status_code=202)

    return start


def _status(e2b: E2b) -> Work:
    async def status(account: str, request: Request) -> Response:
        path, offset = request.path_params, request.query_params.get("logsOffset", "0")
        if not (offset.isascii() and offset.isdecimal() and len(offset) <= _OFFSET_DIGITS):
            raise InvalidRequest("`logsOffset` must be a number")
        return JSONResponse(await e2b.builds.status(account, path["id"], path["build"], int(offset)))

    return status


def _list(e2b: E2b) -> Work:
    async def show(account: str, _: Request) -> Response:
        return JSONResponse(await e2b.builds.newest(account))

    return show


def _alias(e2b: E2b) -> Work:
    async def alias(account: str, request: Request) -> Response:
        name = request.path_params["alias"]
        if not await e2b.builds.exists(account, name):
            raise Refused(404, f"there is no template {name[:128]!r}")
        return JSONResponse({"templateID": name, "public": False})

    return alias


def _tags(e2b: E2b) -> Work:
    async def tags(account: str, request: Request) -> Response:
        return JSONResponse(await e2b.builds.tags(account, request.path_params["id"]))

    return tags


def _assign_tags(e2b: E2b) -> Work:
    async def assign_tags(account: str, request: Request) -> Response:
        return JSONResponse(await e2b.builds.assign_tags(account, await json_object(request)), 201)

    return assign_tags


def _remove_tags(e2b: E2b) -> Work:
    async def remove_tags(account: str, request: Request) -> Response:
        await e2b.builds.remove_tags(account, await json_object(request))
        return Response(status_code=204)

    return remove_tags


def _delete(e2b: E2b) -> Work:
    async def delete(account: str, request: Request) -> Response:
        await e2b.delete_template(account, request.path_params["id"])
        return Response(status_code=204)

    return delete
