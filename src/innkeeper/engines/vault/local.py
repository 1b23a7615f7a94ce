"""A vault whose master key is a file on this machine.

Each secret is encrypted with AES-256-GCM under a random data key of its own; the data key is wrapped, also
with AES-256-GCM, under a key derived from the master key. Sealed bytes are:

    version (1) | nonce (12) | wrapped data key (32 + 16) | nonce (12) | ciphertext | tag (16)

The context and the version are associated data of both layers (NIST SP 800-38D). Derived keys come from HKDF
with SHA-256 (RFC 5869).
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from innkeeper.engines.vault.key_file import KEY_BYTES, KeyFile, Stamp

_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_WRAPPED_END = len(_VERSION) + _NONCE_BYTES + KEY_BYTES + _TAG_BYTES
_SMALLEST = _WRAPPED_END + _NONCE_BYTES + _TAG_BYTES


class LocalVault:
    """`key_file` is made at first use; its parent folder must exist. A key that is rotated while this runs is
    used from then on."""

    def __init__(self, key_file: Path) -> None:
        self.file = KeyFile(key_file)
        self.file.make()
        self._masters = _Masters.of(self.file)

    def seal(self, secret: bytes, context: str) -> bytes:
        self._refresh()
        data_key, associated = secrets.token_bytes(KEY_BYTES), _associated(context)
        return self._wrapped(data_key, associated) + _encrypt(AESGCM(data_key), secret, associated)

    def open(self, sealed: bytes, context: str) -> bytes:
        associated = _associated(context)
        _, data_key = self._unwrapped(sealed, associated)
        try:
            return _decrypt(AESGCM(data_key), sealed[_WRAPPED_END:], associated)
        except InvalidTag:
            raise _unopened() from None

    def rewrap(self, sealed: bytes, context: str) -> bytes | None:
        self._refresh()
        associated = _associated(context)
        age, data_key = self._unwrapped(sealed, associated)
        return self._wrapped(data_key, associated) + sealed[_WRAPPED_END:] if age else None

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        self._refresh()
        info = b"innkeeper/derive/" + purpose.encode()
        return tuple(_hkdf(master, info) for master in self._masters.keys)

    def _wrapped(self, data_key: bytes, associated: bytes) -> bytes:
        return _VERSION + _encrypt(self._masters.wrapping[0], data_key, associated)

    def _unwrapped(self, sealed: bytes, associated: bytes) -> tuple[int, bytes]:
        """The data key, and the place of the master key it is under: 0 is the one in use."""
        if len(sealed) < _SMALLEST or sealed[:1] != _VERSION:
            raise ValueError("not a sealed secret of a version that this vault knows")
        wrapped, tried = sealed[1:_WRAPPED_END], self._masters
        if (found := tried.unwrap(wrapped, associated)) is None:
            self._refresh()
            if self._masters is tried or (found := self._masters.unwrap(wrapped, associated)) is None:
                raise _unopened()
        return found

    def _refresh(self) -> None:
        """Somebody else may have rotated the key."""
        try:
            if self.file.stamp() != self._masters.stamp:
                self._masters = _Masters.of(self.file)
        except FileNotFoundError:
            return  # what is known goes on being good


@dataclass(frozen=True, slots=True)
class _Masters:
    """What the file held when it had this stamp."""

    stamp: Stamp
    keys: tuple[bytes, ...]
    wrapping: tuple[AESGCM, ...]

    @classmethod
    def of(cls, file: KeyFile) -> "_Masters":
        stamp, keys = file.read()
        return cls(stamp, keys, tuple(AESGCM(_hkdf(key, b"innkeeper/wrap")) for key in keys))

    def unwrap(self, wrapped: bytes, associated: bytes) -> tuple[int, bytes] | None:
        for place, cipher in enumerate(self.wrapping):
            try:
                return place, _decrypt(cipher, wrapped, associated)
            except InvalidTag:
                continue
        return None


def _associated(context: str) -> bytes:
    return _VERSION + context.encode()


def _hkdf(master: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master)


def _encrypt(cipher: AESGCM, plain: bytes, associated: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, associated)


def _decrypt(cipher: AESGCM, sealed: bytes, associated: bytes) -> bytes:
    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)


def _unopened() -> ValueError:
    return ValueError("the sealed secret was altered, or belongs to another context or key")
