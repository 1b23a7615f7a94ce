"""The tokens that open a memory as a tool.

JWTs under a key of our own (RFC 7519), with a type and an audience that keep them from being taken for any
other (RFC 8725).
"""

from datetime import UTC, datetime

import jwt

from innkeeper.kernel.clock import Clock
from innkeeper.services.memory.records.model import Trust
from innkeeper.services.memory.tool.model import Holder, ToolToken

_ALGORITHM = "HS256"
_TYPE = "memory+jwt"
_AUDIENCE = "innkeeper-memory"
_CHARACTERS_MOST = 4096


class ToolTokens:
    def __init__(self, key: bytes, clock: Clock) -> None:
        """`key` is 32 secret bytes, the same after every restart (`Vault.derive`)."""
        self._key = key
        self._clock = clock

    def issue(self, holder: Holder, seconds: int) -> ToolToken:
        expires = int(self._clock.now().timestamp()) + seconds
        claims = {
            "aud": _AUDIENCE,
            "account": holder.account,
            "memory": holder.memory,
            "sub": holder.actor,
            "trust": holder.trust,
            "exp": expires,
        }
        token = jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"typ": _TYPE})
        return ToolToken(holder, token, datetime.fromtimestamp(expires, UTC))

    def read(self, token: str) -> Holder | None:
        """None on any fault, and once it has expired."""
        try:
            return self._read(token)
        except (jwt.PyJWTError, ValueError, KeyError, RecursionError):
            return None

    def _read(self, token: str) -> Holder:
        if len(token) > _CHARACTERS_MOST:
            raise ValueError("too long")
        verified = jwt.decode_complete(
            token,
            self._key,
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE,
            options={"verify_exp": False},  # held against our own clock below
        )
        claims = verified["payload"]
        if verified["header"].get("typ") != _TYPE or claims["exp"] <= self._clock.now().timestamp():
            raise ValueError("another type of token, or expired")
        return Holder(claims["account"], claims["memory"], claims["sub"], Trust(claims["trust"]))
