"""Secrets at rest: envelope encryption. What is sealed for one context opens only for the same."""

from typing import Protocol


class Vault(Protocol):
    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt; `context` (an account and what the secret is) is bound as associated data."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Raises ValueError when the bytes were altered, or sealed for another context or key."""
        ...

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose (token signing), the same after every restart."""
        ...
