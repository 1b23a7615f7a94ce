"""One HTTP request as it came: its path not decoded, its header names in lower case."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature covers besides the body, and the address that it came from. `raw_path` is
    percent-encoded and without the query."""

    method: str
    raw_path: str
    query_string: bytes
    headers: Mapping[str, str]
    scheme: str = "http"
    source: str = ""

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> "SignedRequest":
        """From an ASGI scope, `http` or `websocket`."""
        raw_path: bytes | None = scope.get("raw_path")
        return cls(
            method=scope.get("method", "GET"),
            raw_path=quote(scope["path"]) if raw_path is None else raw_path.decode("latin-1").split("?")[0],
            query_string=scope.get("query_string", b""),
            headers=_headers(scope["headers"]),
            scheme=scope.get("scheme", "http"),
            source=(scope.get("client") or ("",))[0],
        )


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A whole request, for handlers that speak a protocol of their own (S3)."""

    method: str
    raw_path: str
    query_string: bytes
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, request: SignedRequest, body: bytes) -> "RawRequest":
        return cls(request.method, request.raw_path, request.query_string, request.headers, body)


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Repeated headers are joined by a comma (RFC 9110, 5.2), as signers do too."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
