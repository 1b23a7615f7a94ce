"""Workload access tokens: what an agent shows to Identity to say which agent it is, and for which user."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import jwt

from innkeeper.engines.vault.tokens import TokenKind
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Unauthorized

_KIND = TokenKind("wat+jwt", "innkeeper-identity", characters=16_384)


@dataclass(frozen=True, slots=True)
class WorkloadToken:
    """`workload` is the agent, `user` the end user it works for, if any; `expires_at` is in UTC."""

    account: str
    workload: str
    user: str | None
    expires_at: datetime


class WorkloadTokens:
    def __init__(self, keys: Sequence[bytes], clock: Clock, life_seconds: int) -> None:
        """`keys` are those of `Vault.derive`."""
        self._keys = keys
        self._clock = clock
        self._life_seconds = life_seconds

    def issue(self, account: str, workload: str, user: str | None) -> str:
        now = int(self._clock.now().timestamp())
        claims = {
            "account": account,
            "sub": workload,
            "user": user,
            "iat": now,
            "exp": now + self._life_seconds,
            "jti": secrets.token_urlsafe(16),
        }
        return _KIND.sign(claims, self._keys)

    def verify(self, token: str) -> WorkloadToken:
        """Raises Unauthorized on any fault, without saying which."""
        try:
            return self._read(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized("the workload access token is not valid, or has expired") from error

    def _read(self, token: str) -> WorkloadToken:
        claims = _KIND.read(token, self._keys)
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        if expires_at <= self._clock.now():
            raise ValueError("expired")
        return WorkloadToken(claims["account"], claims["sub"], claims["user"], expires_at)
