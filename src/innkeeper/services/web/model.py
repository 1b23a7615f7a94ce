"""Places, the tokens that open them, and the URLs that name them."""

import re
from dataclasses import dataclass
from datetime import datetime

DEFAULT_TOKEN_SECONDS = 3600
PREFIX = "/-/web/"
LOCAL_DOMAIN = "localhost"

_PATH = re.compile(r"/-/web/([A-Za-z0-9_-]{1,128})/([0-9]{1,5})(/.*)?", re.DOTALL)
_LABEL = re.compile(r"([0-9]{1,5})-([a-z0-9_-]{1,128})")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides. `domain` may be empty; `answer_seconds` is the time until an answer begins,
    `stream_seconds` until it, or a WebSocket, has ended; `requests` are those to one sandbox at once."""

    domain: str
    token_seconds: int
    requests: int
    body_bytes: int
    message_bytes: int
    answer_seconds: float
    stream_seconds: float


@dataclass(frozen=True, slots=True)
class Place:
    """A port of the sandbox that `account` knows by `id`."""

    account: str
    id: str
    port: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A place, the token that opens it, and until when."""

    place: Place
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Site:
    """A place as a URL names it. `prefix` is the part of the path that is ours: empty where the host says it,
    and host names know no upper case. `path` is the rest, as it came."""

    id: str
    port: int
    prefix: str
    path: str

    def names(self, place: Place) -> bool:
        id_ = place.id if self.prefix else place.id.lower()
        return (self.id, self.port) == (id_, place.port)

    @property
    def root(self) -> str:
        """The path that every path of the site begins with."""
        return f"{self.prefix}/"


def site_of(raw_path: str, host: str, domain: str) -> Site | None:
    """`raw_path` is percent-encoded, `domain` empty or in lower case. None: the request is for others."""
    if domain:
        name = host.lower().partition(":")[0].removesuffix(".")
        label, _, rest = name.partition(".")
        found = _LABEL.fullmatch(label)
        if found and rest == domain:
            return Site(found[2], int(found[1]), "", raw_path)
    found = _PATH.fullmatch(raw_path)
    if found:
        return Site(found[1], int(found[2]), raw_path[: found.end(2)], found[3] or "")
    return None


def url_of(place: Place, origin: str, domain: str) -> str:
    """Where a place is reached. `origin` is how the server itself was, as `http://127.0.0.1:8471`: this port
    serves the domain `localhost` as well; other domains need a proxy in front that speaks TLS."""
    if not domain:
        return f"{origin}{PREFIX}{place.id}/{place.port}/"
    host = f"{place.port}-{place.id.lower()}.{domain}"
    if domain != LOCAL_DOMAIN:
        return f"https://{host}/"
    scheme, _, at = origin.partition("://")
    port = re.search(r":[0-9]+$", at)
    return f"{scheme}://{host}{port[0] if port else ''}/"
