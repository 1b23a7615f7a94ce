"""Tokens for us alone to read: JWTs under keys of our own (RFC 7519), with a type and an audience that keep
them from being taken for any other (RFC 8725)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class TokenKind:
    """`type_` is what stands in the header; one longer than `characters` is not looked at."""

    type_: str
    audience: str
    characters: int

    def sign(self, claims: Mapping[str, Any], keys: Sequence[bytes]) -> str:
        """`keys` are those of `Vault.derive`."""
        whole = {"aud": self.audience, **claims}
        return jwt.encode(whole, keys[0], algorithm=_ALGORITHM, headers={"typ": self.type_})

    def read(self, token: str, keys: Sequence[bytes]) -> Mapping[str, Any]:
        """The claims. When it expires is for the caller to see to, by a clock of his own. Raises
        jwt.PyJWTError or ValueError on any fault."""
        if len(token) > self.characters:
            raise ValueError("too long")
        verified = self._verified(token, keys)
        if verified["header"].get("typ") != self.type_:
            raise ValueError("another type of token")
        claims: Mapping[str, Any] = verified["payload"]
        return claims

    def is_one(self, token: str) -> bool:
        """Whether it has our form, valid or not."""
        try:
            short = len(token) <= self.characters
            return short and jwt.get_unverified_header(token).get("typ") == self.type_
        except (jwt.PyJWTError, ValueError, RecursionError):
            return False

    def _verified(self, token: str, keys: Sequence[bytes]) -> Mapping[str, Any]:
        *newer, oldest = keys
        for key in newer:
            try:
                return self._decoded(token, key)
            except jwt.InvalidSignatureError:
                continue
        return self._decoded(token, oldest)

    def _decoded(self, token: str, key: bytes) -> Mapping[str, Any]:
        return jwt.decode_complete(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=self.audience,
            options={"verify_exp": False, "verify_iat": False},
        )
