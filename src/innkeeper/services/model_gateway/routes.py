"""What is configured and what was used, as JSON."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from innkeeper.services.model_gateway.service import ModelGateway


def routes(gateway: ModelGateway) -> list[Route]:
    async def models(_request: Request) -> JSONResponse:
        found = [{**asdict(route), "kind": gateway.kind(route.provider)} for route in gateway.routes]
        return JSONResponse({"models": found})

    async def usage(request: Request) -> JSONResponse:
        """`?agent=` and `?session=` narrow it down."""
        query = request.query_params
        used = await gateway.usage(request.state.caller.account, query.get("agent"), query.get("session"))
        return JSONResponse({"usage": [asdict(usage) for usage in used]})

    return [
        Route("/-/v1/models", models, methods=["GET"]),
        Route("/-/v1/models/usage", usage, methods=["GET"]),
    ]
