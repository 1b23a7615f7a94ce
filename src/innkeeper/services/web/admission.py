"""Who may come in: the tokens that a request brings, and what of the request may be passed on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from innkeeper.kernel.errors import AccessDenied, Unauthorized
from innkeeper.services.web.model import Grant, Site
from innkeeper.services.web.tokens import WebTokens

TOKEN_HEADER = "x-innkeeper-web-token"  # noqa: S105 (a name)
COOKIE = "innkeeper-web"
_QUERY_NAME = "token"

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Admitted:
    """`headers` and `query` hold no token of ours; `by_query`: the token came in the query."""

    grant: Grant
    headers: list[Header]
    query: str
    by_query: bool


class Admission:
    def __init__(self, tokens: WebTokens) -> None:
        self._tokens = tokens

    def admit(self, site: Site, headers: Sequence[Header], query: str) -> Admitted:
        """`headers` have lower-case names; `query` is as it came. Raises Unauthorized; AccessDenied when a
        browser was sent here by another site, and so would use its cookie without its user's will."""
        kept, in_query = self._without_tokens(query)
        spoken = self._first(site, self._in_headers(headers))
        asked = self._first(site, in_query)
        grant = spoken or asked
        if grant is None:
            grant = self._first(site, _cookies(headers))
            if grant is not None:
                _check_origin(dict(headers))
        if grant is None:
            message = "This address needs a token that is valid for it: innkeeper url ID PORT gives one"
            raise Unauthorized(message, 'Bearer realm="innkeeper"')
        return Admitted(grant, list(self._passed_on(headers)), kept, asked is not None)

    def _first(self, site: Site, tokens: Iterator[str] | Sequence[str]) -> Grant | None:
        grants = map(self._tokens.read, tokens)
        return next((grant for grant in grants if grant and site.names(grant.place)), None)

    def _in_headers(self, headers: Sequence[Header]) -> Iterator[str]:
        for name, value in headers:
            if name == TOKEN_HEADER:
                yield value
            elif name == "authorization":
                yield _bearer(value)

    def _without_tokens(self, query: str) -> tuple[str, list[str]]:
        """A service inside may have a `token` of its own: only ours are taken out."""
        kept, tokens = [], []
        for part in query.split("&"):
            name, _, value = part.partition("=")
            value = unquote_plus(value)
            if unquote_plus(name) == _QUERY_NAME and self._tokens.is_one(value):
                tokens.append(value)
            else:
                kept.append(part)
        return "&".join(kept), tokens

    def _passed_on(self, headers: Sequence[Header]) -> Iterator[Header]:
        for name, value in headers:
            if name == "cookie":
                others = [part for part in value.split(";") if part.partition("=")[0].strip() != COOKIE]
                if others:
                    yield name, ";".join(others).strip()
            elif name != TOKEN_HEADER and not (
                name == "authorization" and self._tokens.is_one(_bearer(value))
            ):
                yield name, value


def _bearer(value: str) -> str:
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookies(headers: Sequence[Header]) -> Iterator[str]:
    """All that have our name: a neighbour in the same domain may have set one, too."""
    for name, value in headers:
        if name == "cookie":
            for part in value.split(";"):
                key, _, token = part.strip().partition("=")
                if key == COOKIE:
                    yield token


def _check_origin(headers: dict[str, str]) -> None:
    """Pages of other sandboxes are of the same site as ours when they share a domain, so that `SameSite`
    alone does not keep their scripts, forms and WebSockets out (W3C Fetch Metadata, RFC 6454)."""
    origin = headers.get("origin")
    foreign = origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()
    embedded = headers.get("sec-fetch-mode") != "navigate" or headers.get("sec-fetch-dest") != "document"
    if foreign or (embedded and headers.get("sec-fetch-site", "none") not in ("same-origin", "none")):
        raise AccessDenied("Pages of another origin may not use this address")
