"""The key of one memory: what is sealed under it (AES-256-GCM, NIST SP 800-38D), and keyed digests.

Sealed bytes are: version (1) | nonce (12) | ciphertext | tag (16). The version is a byte with which no UTF-8
text begins, so that what is sealed is known from what is not. Nonces are random: of 2**32 texts under one key
two share one by a chance of one in 2**33.
"""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
LIKENESS_BYTES = 16
_VERSION = b"\xff"
_NONCE_BYTES = 12
_SMALLEST = len(_VERSION) + _NONCE_BYTES + 16


class MemoryKey:
    def __init__(self, key: bytes, history: bytes = b"") -> None:
        """`history` is the key of the chain of the memory's history."""
        self.history = history
        self._key = key
        self._cipher = AESGCM(self.derive("seal"))
        self._likeness = self.derive("likeness")

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """It opens at the same `place` alone."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, _VERSION + place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Raises ValueError when it was altered, or sealed at another place or under another key."""
        if len(sealed) < _SMALLEST or not is_sealed(sealed):
            raise ValueError("not sealed in a version that is known here")
        end = len(_VERSION) + _NONCE_BYTES
        try:
            return self._cipher.decrypt(sealed[len(_VERSION) : end], sealed[end:], _VERSION + place)
        except InvalidTag:
            raise ValueError("altered, or sealed at another place or under another key") from None

    def likeness(self, text: str) -> bytes:
        """The same for the same text (HMAC with SHA-256, RFC 2104); without the key it tells nothing."""
        return hmac.digest(self._likeness, text.encode(), hashlib.sha256)[:LIKENESS_BYTES]

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose (HKDF with SHA-256, RFC 5869)."""
        return HKDF(SHA256(), KEY_BYTES, None, b"innkeeper/memory/" + purpose.encode()).derive(self._key)


def is_sealed(value: bytes) -> bool:
    return value[:1] == _VERSION
