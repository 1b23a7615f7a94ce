"""Workload access tokens: what an agent shows to Identity to say which agent it is, and for which user.

For us alone to read, so a JWT under a key of our own (RFC 7519), with a type and audience that keep it from
being taken for any other token (RFC 8725).
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import jwt

from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Unauthorized

_ALGORITHM = "HS256"
_TYPE = "wat+jwt"
_AUDIENCE = "innkeeper-identity"
_TOKEN_MAX_CHARACTERS = 16_384


@dataclass(frozen=True, slots=True)
class WorkloadToken:
    """`workload` is the agent, `user` the end user it works for, if any; `expires_at` is in UTC."""

    account: str
    workload: str
    user: str | None
    expires_at: datetime


class WorkloadTokens:
    def __init__(self, key: bytes, clock: Clock, life_seconds: int) -> None:
        """`key` is 32 secret bytes, the same after every restart (`Vault.derive`)."""
        self._key = key
        self._clock = clock
        self._life_seconds = life_seconds

    def issue(self, account: str, workload: str, user: str | None) -> str:
        now = int(self._clock.now().timestamp())
        claims = {
            "aud": _AUDIENCE,
            "account": account,
            "sub": workload,
            "user": user,
            "iat": now,
            "exp": now + self._life_seconds,
            "jti": secrets.token_urlsafe(16),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"typ": _TYPE})

    def verify(self, token: str) -> WorkloadToken:
        """Raises Unauthorized on any fault, without saying which."""
        try:
            return self._read(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized("the workload access token is not valid, or has expired") from error

    def _read(self, token: str) -> WorkloadToken:
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
        return WorkloadToken(claims["account"], claims["sub"], claims["user"], expires_at)
