"""The ASGI app in front of all others: what is asked of a site goes to its sandbox, all else goes on."""

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from innkeeper.engines.sandbox.bridge import deny
from innkeeper.kernel.errors import InnkeeperError, InvalidRequest, Unauthorized
from innkeeper.services.web.admission import Admission, Admitted
from innkeeper.services.web.headers import inwards, own_cookie
from innkeeper.services.web.model import LOCAL_DOMAIN, Site, site_of
from innkeeper.services.web.proxy import Errand, Proxy
from innkeeper.services.web.service import Door, WebServices


class Front:
    def __init__(self, inner: ASGIApp, services: WebServices) -> None:
        self._inner = inner
        self._services = services
        self._domain = services.rules.domain
        self._admission = Admission(services.tokens)
        self._proxy = Proxy(services.rules)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self._visit(scope) if scope["type"] in ("http", "websocket") else None
        if visit is None:
            await self._inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(visit, WebSocket(scope, receive, send))
        else:
            await self._http(visit, receive, send)

    def _visit(self, scope: Scope) -> "_Visit | None":
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        hosts = [value for name, value in headers if name == "host"]
        raw_path = (scope.get("raw_path") or b"").decode("latin-1").partition("?")[0]
        site = site_of(raw_path, hosts[0] if hosts else "", self._domain)
        return _Visit(scope, site, headers, hosts, self._domain) if site else None

    async def _http(self, visit: "_Visit", receive: Receive, send: Send) -> None:
        try:
            admitted = self._admit(visit)
            cookie = self._cookie(visit, admitted) if admitted.by_query else None
            if visit.is_page and (cookie or not visit.site.path):
                answer = visit.redirection(admitted.query, cookie)
            else:
                extra = [("set-cookie", cookie)] if cookie else []
                door = await self._services.door(admitted.grant.place)
                with self._services.use(door):
                    await self._proxy.http(visit.errand(door, admitted), receive, send, extra)
                return
        except InnkeeperError as error:
            answer = _refusal(error)
        await answer(visit.scope, receive, send)

    async def _websocket(self, visit: "_Visit", socket: WebSocket) -> None:
        try:
            admitted = self._admit(visit)
            door = await self._services.door(admitted.grant.place)
            with self._services.use(door):
                await self._proxy.websocket(visit.errand(door, admitted), socket)
        except InnkeeperError as error:
            await deny(socket, error)

    def _cookie(self, visit: "_Visit", admitted: Admitted) -> str:
        grant = admitted.grant
        seconds = self._services.tokens.seconds_left(grant)
        return own_cookie(grant.token, visit.site, seconds, visit.scheme == "https")

    def _admit(self, visit: "_Visit") -> Admitted:
        if len(visit.hosts) != 1:
            raise InvalidRequest("A request must have exactly one Host header")
        return self._admission.admit(visit.site, visit.headers, visit.query)


class _Visit:
    """A request to a site, `http` or `websocket`."""

    def __init__(
        self, scope: Scope, site: Site, headers: list[tuple[str, str]], hosts: list[str], domain: str
    ) -> None:
        self.scope = scope
        self.site = site
        self.headers = headers
        self.hosts = hosts
        self.query = scope["query_string"].decode("latin-1")
        self.method: str = scope.get("method", "GET")
        outside_tls = scope["scheme"] in ("https", "wss") or (not site.prefix and domain != LOCAL_DOMAIN)
        self.scheme = "https" if outside_tls else "http"

    @property
    def is_page(self) -> bool:
        """Whether a browser asks for what it shows in its address bar."""
        accept = ",".join(value for name, value in self.headers if name == "accept")
        return self.method in ("GET", "HEAD") and "text/html" in accept

    def errand(self, door: Door, admitted: Admitted) -> Errand:
        client = (self.scope.get("client") or ("",))[0]
        return Errand(
            sandbox=door.sandbox,
            site=self.site,
            method=self.method,
            target=_target(self.site.path, admitted.query),
            headers=inwards(admitted.headers, self.site, self.scheme, client),
            host=self.hosts[0],
        )

    def redirection(self, query: str, cookie: str | None) -> Response:
        """To the same without the token, and with a path that relative links can begin from. Where the path
        is all the service's own it may begin with two slashes, and be taken for a host: so that is named."""
        origin = "" if self.site.prefix else f"{self.scheme}://{self.hosts[0]}"
        target = origin + _target(self.site.prefix + (self.site.path or "/"), query)
        shown = {"location": target, "cache-control": "no-store", "referrer-policy": "no-referrer"}
        return Response(None, 307, {**shown, **({"set-cookie": cookie} if cookie else {})})


def _target(path: str, query: str) -> str:
    return f"{path or '/'}?{query}" if query else path or "/"


def _refusal(error: InnkeeperError) -> Response:
    shown = {"cache-control": "no-store"}
    if isinstance(error, Unauthorized):
        shown["www-authenticate"] = error.challenge
    return JSONResponse({"message": error.message, "code": error.code}, error.status, shown)
