"""Token issuers: their discovery documents and public keys, fetched carefully and remembered for a while.

Sources: OpenID Connect Discovery 1.0, RFC 8414 (the two discovery documents), RFC 7517 (key sets).
"""

import asyncio
import ipaddress
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import aiohttp

from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Unavailable
from innkeeper.kernel.ttl_cache import TtlCache

_TIMEOUT_SECONDS = 5.0
_KEYS_SECONDS = 300.0
_REFRESH_SECONDS = 10.0
_FAILURE_SECONDS = 5.0
_ISSUERS_MAX = 1000
_DOCUMENT_MAX_BYTES = 256 * 1024
_KEYS_MAX = 100
_CONNECTIONS_MAX = 20
_PLAIN = {"Accept": "application/json", "Accept-Encoding": "identity"}  # sizes are counted as received


@dataclass(frozen=True, slots=True)
class Issuer:
    """`name` is what the tokens' `iss` must be, `keys` its public signature keys as JWKs; `fetched_at` is
    monotonic."""

    name: str
    keys: tuple[Document, ...]
    fetched_at: float


class Issuers:
    """One fetch at a time per issuer; what failed is not tried again for a moment. Close it in the end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: TtlCache[str, Issuer] = TtlCache(clock, _KEYS_SECONDS, _ISSUERS_MAX)
        self._failed: TtlCache[str, str] = TtlCache(clock, _FAILURE_SECONDS, _ISSUERS_MAX)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._http: aiohttp.ClientSession | None = None

    async def get(self, discovery_url: str, *, refresh: bool = False) -> Issuer:
        """The issuer, at most five minutes old. `refresh` asks for a new copy, for a key that is not in the
        old one; it is granted every ten seconds, or strangers' tokens could make us flood the issuer.

        Raises Unavailable when the issuer does not answer usably: that is not the caller's fault, and the
        same token may pass later.
        """
        lock = self._locks.setdefault(discovery_url, asyncio.Lock())
        async with lock:
            known = self._known.get(discovery_url)
            if known and not (refresh and self._clock.monotonic() - known.fetched_at >= _REFRESH_SECONDS):
                return known
            if failure := self._failed.get(discovery_url):
                raise Unavailable(failure)
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    issuer = await self._fetch(discovery_url)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                reason = str(error) or "it did not answer in time"
                failure = f"the token issuer at {discovery_url} cannot be used: {reason}"
                self._failed.put(discovery_url, failure)
                raise Unavailable(failure) from error
            self._known.put(discovery_url, issuer)
            return issuer

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def _fetch(self, discovery_url: str) -> Issuer:
        discovery = await self._document(discovery_url)
        name, keys_url = discovery.get("issuer"), discovery.get("jwks_uri")
        if not isinstance(name, str) or not isinstance(keys_url, str):
            raise ValueError("its discovery document has no issuer or jwks_uri")
        keys = (await self._document(keys_url)).get("keys")
        if not isinstance(keys, list) or len(keys) > _KEYS_MAX:
            raise ValueError(f"its key set is not a list of up to {_KEYS_MAX} keys")
        return Issuer(name, tuple(key for key in keys if _can_verify(key)), self._clock.monotonic())

    async def _document(self, url: str) -> Document:
        """A JSON object. Redirects are not followed: they could lead to an address that no one chose."""
        _check_address(url)
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS_MAX)
            self._http = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        async with self._http.get(url, allow_redirects=False, headers=_PLAIN) as response:
            if response.status != 200:
                raise ValueError(f"{url} answered {response.status}")
            content = b""
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > _DOCUMENT_MAX_BYTES:
                    raise ValueError(f"{url} answered more than {_DOCUMENT_MAX_BYTES} bytes")
        return _object(content, url)


def _object(content: bytes, url: str) -> Document:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ValueError(f"{url} answered no JSON object")
    return document


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ValueError(f"{url} must be https (http only on this machine itself)")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _can_verify(key: Any) -> bool:
    """Whether it is an asymmetric key for signatures."""
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
