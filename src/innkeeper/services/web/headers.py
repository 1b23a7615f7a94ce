"""Which headers go in to a service and which come out (RFC 9110, 7.6.1), and how they are changed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from innkeeper.services.web.admission import COOKIE, Header
from innkeeper.services.web.model import Site

_HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
# What was said on the way to us; we say it anew, from what the server itself believes.
_FORWARDED = frozenset(
    [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-real-ip",
    ]
)
# Their scope is more than the one place that the service has: the whole host, and all its ports.
_TOO_WIDE = frozenset(["alt-svc", "clear-site-data", "service-worker-allowed", "strict-transport-security"])
_NOT_IN_HEADER = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def inwards(headers: Sequence[Header], site: Site, scheme: str, client: str) -> list[Header]:
    """Of a request; names are in lower case."""
    dropped = {*_HOP_BY_HOP, *_FORWARDED, *_named_by_connection(headers), "expect"}
    kept = [
        (name, value)
        for name, value in headers
        if name not in dropped and not name.startswith("sec-websocket-")
    ]
    host = next((value for name, value in headers if name == "host"), "")
    said = {"x-forwarded-for": client, "x-forwarded-host": host, "x-forwarded-proto": scheme}
    if site.prefix:
        said["x-forwarded-prefix"] = site.prefix
    return kept + list(said.items())


def outwards(headers: Iterable[Header], site: Site, host: str) -> Iterator[Header]:
    """Of an answer; `host` is the one that the client asked."""
    pairs = [(name.lower(), _NOT_IN_HEADER.sub(" ", value)) for name, value in headers]
    dropped = {*_HOP_BY_HOP, *_TOO_WIDE, *_named_by_connection(pairs), "date"}
    if any(name == "transfer-encoding" for name, _ in pairs):
        dropped.add("content-length")
    for name, value in pairs:
        if name in dropped:
            continue
        if name == "set-cookie":
            if value.partition("=")[0].strip() != COOKIE:
                yield name, _own_cookie(value, site)
        elif name == "location":
            yield name, _own_location(value, site, host)
        else:
            yield name, value


def own_cookie(token: str, site: Site, seconds: int, secure: bool) -> str:
    """The cookie that holds a token, for paths of the site alone."""
    ending = "; Secure" if secure else ""
    return f"{COOKIE}={token}; Path={site.root}; Max-Age={seconds}; HttpOnly; SameSite=Lax{ending}"


def _named_by_connection(headers: Sequence[Header]) -> set[str]:
    named = ",".join(value for name, value in headers if name == "connection")
    return {name.strip().lower() for name in named.split(",")}


def _own_cookie(value: str, site: Site) -> str:
    """A service's cookie stays its own: no neighbour's host, nor path, gets it."""
    pair, *attributes = value.split(";")
    kept, path = [pair], "/"
    for attribute in attributes:
        name, _, given = attribute.partition("=")
        name, given = name.strip().lower(), given.strip()
        if name == "path":
            path = given if given.startswith("/") else "/"
        elif name != "domain":
            kept.append(attribute)
    if site.prefix and not path.startswith(site.root):
        path = site.prefix + path
    return ";".join([*kept, f" Path={path}"])


def _own_location(value: str, site: Site, host: str) -> str:
    """A redirection within the service stays within the site."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return value
    here = parts.netloc == host if parts.netloc else not value.startswith("//")
    if not site.prefix or not here or not parts.path.startswith("/") or parts.path.startswith(site.root):
        return value
    return parts._replace(path=site.prefix + parts.path).geturl()
