"""Requests that another service has let in, carried to a port of a sandbox."""

from collections.abc import Collection

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from innkeeper.engines.sandbox.sandbox import Sandbox
from innkeeper.services.web.headers import inwards
from innkeeper.services.web.model import Site
from innkeeper.services.web.proxy import Errand, Proxy
from innkeeper.services.web.service import Door, WebServices


class Passage:
    """`private` are the headers, in lower case, that are not for the service inside."""

    def __init__(self, services: WebServices, private: Collection[str]) -> None:
        self._services = services
        self._private = private
        self._proxy = Proxy(services.rules)

    async def carry(self, site: Site, sandbox: Sandbox, scope: Scope, receive: Receive, send: Send) -> None:
        """HTTP or a WebSocket. Raises InnkeeperError as long as nothing was answered."""
        pairs = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        headers = [(name, value) for name, value in pairs if name not in self._private]
        query = scope["query_string"].decode("latin-1")
        errand = Errand(
            sandbox=sandbox,
            site=site,
            method=scope.get("method", "GET"),
            target=f"{site.path or '/'}?{query}" if query else site.path or "/",
            headers=inwards(headers, site, scope["scheme"], (scope.get("client") or ("",))[0]),
            host=next((value for name, value in pairs if name == "host"), ""),
        )
        with self._services.use(Door(site.id, sandbox)):
            if scope["type"] == "websocket":
                await self._proxy.websocket(errand, WebSocket(scope, receive, send))
            else:
                await self._proxy.http(errand, receive, send, [])
