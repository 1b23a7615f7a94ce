"""Access keys and accounts as JSON below `/-/v1`, for the command line and the console."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.errors import AccessDenied, InvalidRequest, NotFound
from innkeeper.services.account.model import AccessKey
from innkeeper.services.account.service import Accounts


def routes(accounts: Accounts) -> list[Route]:
    """For below an application that puts the authenticated `Caller` in `request.state.caller`."""

    async def list_keys(request: Request) -> Response:
        keys = await accounts.list_keys(_root(request).account)
        return JSONResponse({"keys": [_key(key) for key in keys]})

    async def create_key(request: Request) -> Response:
        description = await _member(request, "description", str)
        key = await accounts.create_key(_root(request).account, description)
        return JSONResponse(_key(key), 201)

    async def delete_key(request: Request) -> Response:
        await accounts.delete_key(_root(request).account, _key_id(request))
        return Response(status_code=204)

    async def patch_key(request: Request) -> Response:
        active = await _member(request, "active", bool)
        await accounts.set_key_active(_root(request).account, _key_id(request), active)
        return Response(status_code=204)

    async def create_account(request: Request) -> Response:
        if not await accounts.is_operator(_root(request)):
            raise AccessDenied("Only root of the first account may make accounts")
        key = await accounts.create_account(await _member(request, "name", str))
        return JSONResponse({"account": key.account, "key": _key(key)}, 201)

    return [
        Route("/-/v1/keys", list_keys, methods=["GET"]),
        Route("/-/v1/keys", create_key, methods=["POST"]),
        Route("/-/v1/keys/{id}", delete_key, methods=["DELETE"]),
        Route("/-/v1/keys/{id}", patch_key, methods=["PATCH"]),
        Route("/-/v1/accounts", create_account, methods=["POST"]),
    ]


def _root(request: Request) -> Caller:
    caller: Caller = request.state.caller
    if caller.kind is not CallerKind.ROOT:
        raise AccessDenied("Access keys and accounts are managed with a root access key")
    return caller


def _key_id(request: Request) -> str:
    key_id: str = request.path_params["id"]
    if not key_id.isalnum():
        raise NotFound(f"Access key {key_id!r} does not exist")
    return key_id


async def _member(request: Request, name: str, kind: type[Any]) -> Any:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body must be a JSON object") from error
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, kind) or (isinstance(value, str) and (len(value) > 128 or "\0" in value)):
        wanted = "true or false" if kind is bool else "a text of up to 128 characters"
        raise InvalidRequest(f"`{name}` must be {wanted}")
    return value


def _key(key: AccessKey) -> dict[str, Any]:
    secret = {"secretAccessKey": key.secret_access_key} if key.secret_access_key else {}
    return {
        "accessKeyId": key.access_key_id,
        "description": key.description,
        "active": key.active,
        "createdAt": key.created_at.isoformat(),
        **secret,
    }
