"""The door to sandboxes: which one and which port a request is for, and whether it may go there."""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Host, Mount
from starlette.types import Receive, Scope, Send

from innkeeper.kernel.errors import InnkeeperError
from innkeeper.services.e2b.api_routes import api
from innkeeper.services.e2b.keys import signature_holds
from innkeeper.services.e2b.model import CODE_PORT, ENVD_PORT, Refused, Target, target_of
from innkeeper.services.e2b.sandbox_routes import daemon, interpreter
from innkeeper.services.e2b.service import E2b, error_document, status_of

PREFIX = "/-/e2b"

SANDBOX_PREFIX = f"{PREFIX}/sandbox"
PRIVATE_HEADERS = ("x-access-token", "e2b-traffic-access-token", "e2b-sandbox-id", "e2b-sandbox-port")
"""What is said to us, and not to services inside."""

Forward = Callable[[str, Target, str, Scope, Receive, Send], Awaitable[None]]


def routes(e2b: E2b, forward: Forward) -> list[BaseRoute]:
    """`forward` carries a request to a port inside, for an account that may, without a prefix of its path.
    The control API is below `/-/e2b` and sandboxes are below `/-/e2b/sandbox`; where there is a domain, by
    its host names too."""
    control, gateway = api(e2b), Gateway(e2b, forward)
    domain = e2b.rules.domain
    by_name = [Host(f"api.{domain}", control), Host(f"{{label}}.{domain}", gateway)] if domain else []
    return [*by_name, Mount(SANDBOX_PREFIX, gateway), Mount(PREFIX, control)]


class Gateway:
    def __init__(self, e2b: E2b, forward: Forward) -> None:
        self._e2b = e2b
        self._forward = forward
        self._ours = {ENVD_PORT: daemon(e2b), CODE_PORT: interpreter(e2b)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        try:
            target = _target(connection)
            account = await self._admitted(connection, target)
            app = self._ours.get(target.port)
            if app is None:
                prefix = "" if "label" in connection.path_params else SANDBOX_PREFIX
                await self._forward(account, target, prefix, scope, receive, send)
                return
            if scope["type"] != "http":
                raise Refused(400, "this port takes no WebSocket")
            wake = not connection.url.path.endswith("/health")
            guest = await self._e2b.guests.get(account, target.sandbox_id, wake)
            scope.setdefault("state", {})["guest"] = guest
        except InnkeeperError as error:
            answer = JSONResponse(error_document(error), status_of(error))
            await answer(scope, receive, send)
            return
        await app(scope, receive, send)

    async def _admitted(self, connection: HTTPConnection, target: Target) -> str:
        """The account whose sandbox it is. Raises Refused."""
        keys, headers = self._e2b.keys, connection.headers
        given = headers.get("x-access-token", ""), headers.get("e2b-traffic-access-token", "")
        uses = ("envd",) if target.port == ENVD_PORT else ("envd", "traffic")
        for token in filter(None, given):
            account = keys.token_account(token, target.sandbox_id, *uses)
            if account is not None:
                return account
        if self._is_open(target) or _is_signed(connection, target):
            owner = await self._e2b.owner(target.sandbox_id)
            if self._is_open(target) or self._signature_holds(connection, target, owner):
                return owner
        raise Refused(401, "The access token is not the one of this sandbox")

    def _is_open(self, target: Target) -> bool:
        return self._e2b.rules.public_ports and target.port not in self._ours

    def _signature_holds(self, connection: HTTPConnection, target: Target, owner: str) -> bool:
        query = {name: values[0] for name, values in parse_qs(connection.url.query).items()}
        return signature_holds(
            query.get("signature", ""),
            self._e2b.keys.token(owner, target.sandbox_id, "envd"),
            query.get("path", ""),
            "read" if connection.scope["method"] == "GET" else "write",
            query.get("username", ""),
            query.get("signature_expiration", ""),
        )


def _is_signed(connection: HTTPConnection, target: Target) -> bool:
    is_file = connection.scope["type"] == "http" and connection.url.path.endswith("/files")
    return is_file and target.port == ENVD_PORT and "signature" in connection.query_params


def _target(connection: HTTPConnection) -> Target:
    """By the host's name, else by headers. Raises Refused."""
    label = connection.path_params.get("label")
    if label is not None:
        port, _, sandbox_id = label.partition("-")
        return target_of(sandbox_id, port)
    headers = connection.headers
    return target_of(headers.get("e2b-sandbox-id", ""), headers.get("e2b-sandbox-port", str(ENVD_PORT)))
