"""Secrets at rest: envelope encryption. What is sealed for one context opens only for the same."""

from typing import Protocol


class Vault(Protocol):
    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt; `context` (an account and what the secret is) is bound as associated data."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Raises ValueError when the bytes were altered, or sealed for another context or key."""
        ...

    def rewrap(self, sealed: bytes, context: str) -> bytes | None:
        """The same secret under the master key in use; None when it is. Raises ValueError as `open` does."""
        ...

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """Keys of 32 bytes for one purpose (token signing), the same after every restart. The first is to be
        used; what was made with another holds as well, until the master key behind that is retired."""
        ...
