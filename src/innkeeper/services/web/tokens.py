"""The tokens that open places."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import jwt

from innkeeper.engines.vault.tokens import TokenKind
from innkeeper.kernel.clock import Clock
from innkeeper.services.web.model import Grant, Place

_KIND = TokenKind("web+jwt", "innkeeper-web", characters=2048)
_FAULTS = (jwt.PyJWTError, ValueError, RecursionError)


class WebTokens:
    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        """`keys` are those of `Vault.derive`."""
        self._keys = keys
        self._clock = clock

    def issue(self, place: Place, seconds: int) -> Grant:
        now = int(self._clock.now().timestamp())
        claims = {
            "account": place.account,
            "sub": place.id,
            "port": place.port,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_urlsafe(16),
        }
        return Grant(place, _KIND.sign(claims, self._keys), datetime.fromtimestamp(now + seconds, UTC))

    def read(self, token: str) -> Grant | None:
        """None on any fault, and once it has expired."""
        try:
            return self._read(token)
        except _FAULTS:
            return None

    def seconds_left(self, grant: Grant) -> int:
        return max(int((grant.expires_at - self._clock.now()).total_seconds()), 1)

    def is_one(self, token: str) -> bool:
        """Whether it has our form, valid or not: what nobody else may see."""
        return _KIND.is_one(token)

    def _read(self, token: str) -> Grant:
        claims = _KIND.read(token, self._keys)
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        if expires_at <= self._clock.now():
            raise ValueError("expired")
        return Grant(Place(claims["account"], claims["sub"], claims["port"]), token, expires_at)
