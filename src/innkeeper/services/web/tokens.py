"""The tokens that open places.

For us alone to read, so JWTs under a key of our own (RFC 7519), with a type and audience that keep them from
being taken for any other token (RFC 8725).
"""

import secrets
from datetime import UTC, datetime

import jwt

from innkeeper.kernel.clock import Clock
from innkeeper.services.web.model import Grant, Place

_ALGORITHM = "HS256"
_TYPE = "web+jwt"
_AUDIENCE = "innkeeper-web"
_TOKEN_MAX_CHARACTERS = 2048
_FAULTS = (jwt.PyJWTError, ValueError, RecursionError)


class WebTokens:
    def __init__(self, key: bytes, clock: Clock) -> None:
        """`key` is 32 secret bytes, the same after every restart (`Vault.derive`)."""
        self._key = key
        self._clock = clock

    def issue(self, place: Place, seconds: int) -> Grant:
        now = int(self._clock.now().timestamp())
        claims = {
            "aud": _AUDIENCE,
            "account": place.account,
            "sub": place.id,
            "port": place.port,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_urlsafe(16),
        }
        token = jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"typ": _TYPE})
        return Grant(place, token, datetime.fromtimestamp(now + seconds, UTC))

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
        try:
            short = len(token) <= _TOKEN_MAX_CHARACTERS
            return short and jwt.get_unverified_header(token).get("typ") == _TYPE
        except _FAULTS:
            return False

    def _read(self, token: str) -> Grant:
        if len(token) > _TOKEN_MAX_CHARACTERS:
            raise ValueError("too long")
        verified = jwt.decode_complete(
            token,
            self._key,
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE,
            options={"verify_exp": False, "verify_iat": False},  # `exp` is held against our own clock below
        )
        claims = verified["payload"]
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        if verified["header"].get("typ") != _TYPE or expires_at <= self._clock.now():
            raise ValueError("another type of token, or expired")
        return Grant(Place(claims["account"], claims["sub"], claims["port"]), token, expires_at)
