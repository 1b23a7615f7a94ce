"""Native routes, below `/-/`: who may call them."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from innkeeper.aws.exchange import read_body
from innkeeper.aws.request import SignedRequest
from innkeeper.aws.sigv4 import SignatureVerifier, is_signed
from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.errors import AccessDenied

_BODY_MAX_BYTES = 1 << 20
_BODY_TIMEOUT_SECONDS = 60.0


def authenticated(route: Route, verifier: SignatureVerifier, body_max_bytes: int = _BODY_MAX_BYTES) -> Route:
    """Native routes are the account owner's: they take a root key's SigV4 signature, no role's."""
    endpoint: Callable[[Request], Awaitable[Response]] = route.endpoint

    async def signed(request: Request) -> Response:
        body = await read_body(request.receive, request.headers, body_max_bytes, _BODY_TIMEOUT_SECONDS)
        request = Request(request.scope, partial(_whole, body))
        caller = await signed_caller(verifier, request, body)
        if caller is None:
            raise AccessDenied("Missing Authentication Token", "MissingAuthenticationTokenException")
        if caller.kind is not CallerKind.ROOT:
            raise AccessDenied("Only a root access key may use this")
        request.state.caller = caller
        return await endpoint(request)

    return Route(route.path, signed, methods=route.methods)


async def _whole(body: bytes) -> Message:
    return {"type": "http.request", "body": body}


async def signed_caller(
    verifier: SignatureVerifier, connection: HTTPConnection, body: bytes = b""
) -> Caller | None:
    """None when the request carries no signature. Raises AccessDenied."""
    request = SignedRequest.of(connection.scope)
    if not is_signed(request.headers, request.query_string):
        return None
    signed = await verifier.verify(request, body)
    if signed.service != "bedrock-agentcore":
        raise AccessDenied("Credential should be scoped to correct service: 'bedrock-agentcore'")
    return signed.caller
