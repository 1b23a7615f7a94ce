"""E2B API keys as JSON below `/-/v1`, for the command line."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.caller import Caller
from innkeeper.services.e2b.service import E2b


def routes(e2b: E2b) -> list[Route]:
    """For below an application that puts the authenticated `Caller` in `request.state.caller`."""

    async def make_key(request: Request) -> Response:
        caller: Caller = request.state.caller
        return JSONResponse({"apiKey": await e2b.keys.make(caller.account, request.path_params["id"])})

    return [Route("/-/v1/keys/{id}/e2b", make_key, methods=["GET"])]
