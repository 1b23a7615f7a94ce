"""A vault whose master key is a file on this machine.

Each secret is encrypted with AES-256-GCM under a random data key of its own; the data key is wrapped, also
with AES-256-GCM, under a key derived from the master key. Sealed bytes are:

    version (1) | nonce (12) | wrapped data key (32 + 16) | nonce (12) | ciphertext | tag (16)

The context and the version are associated data of both layers (NIST SP 800-38D). Derived keys come from HKDF
with SHA-256 (RFC 5869).
"""

import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_WRAPPED_END = len(_VERSION) + _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_SMALLEST = _WRAPPED_END + _NONCE_BYTES + _TAG_BYTES


class LocalVault:
    """`key_file` is made at first use; its parent folder must exist."""

    def __init__(self, key_file: Path) -> None:
        self._master = _load_or_create(key_file)
        self._wrapping = AESGCM(self._hkdf(b"innkeeper/wrap"))

    def seal(self, secret: bytes, context: str) -> bytes:
        data_key = secrets.token_bytes(_KEY_BYTES)
        associated = _VERSION + context.encode()
        wrapped = _encrypt(self._wrapping, data_key, associated)
        return _VERSION + wrapped + _encrypt(AESGCM(data_key), secret, associated)

    def open(self, sealed: bytes, context: str) -> bytes:
        if len(sealed) < _SMALLEST or sealed[:1] != _VERSION:
            raise ValueError("not a sealed secret of a version that this vault knows")
        associated = _VERSION + context.encode()
        try:
            data_key = _decrypt(self._wrapping, sealed[1:_WRAPPED_END], associated)
            return _decrypt(AESGCM(data_key), sealed[_WRAPPED_END:], associated)
        except InvalidTag:
            raise ValueError("the sealed secret was altered, or belongs to another context or key") from None

    def derive(self, purpose: str) -> bytes:
        return self._hkdf(b"innkeeper/derive/" + purpose.encode())

    def _hkdf(self, info: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(self._master)


def _encrypt(cipher: AESGCM, plain: bytes, associated: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, associated)


def _decrypt(cipher: AESGCM, sealed: bytes, associated: bytes) -> bytes:
    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)


def _load_or_create(key_file: Path) -> bytes:
    if not key_file.exists():
        _create(key_file)
    with key_file.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise PermissionError(
                f"{key_file} holds the master key but others may read it (mode {mode:04o}); "
                f"run: chmod 600 {key_file}"
            )
        key = file.read()
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{key_file} is no master key: it must hold {_KEY_BYTES} bytes, not {len(key)}")
    return key


def _create(key_file: Path) -> None:
    """Whole or not at all; of two processes that do it at once, both end up with the first one's key."""
    draft = key_file.with_name(f".{key_file.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            key_file.hardlink_to(draft)
        except FileExistsError:
            return
        _sync_folder(key_file.parent)
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
