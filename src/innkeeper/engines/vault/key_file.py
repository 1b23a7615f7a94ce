"""The file of the master key: 32 bytes, and from a rotation on until the old key is retired those of the old
key after them. Every change is whole or not at all."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

KEY_BYTES = 32
_KEYS_MOST = 2

Stamp = tuple[int, int, int]


class KeyFile:
    """The folder it lies in must exist."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """With a first key, if there is none. Of two processes that do it at once, both end up with the first
        one's."""
        if self.path.exists():
            return
        with self._draft([secrets.token_bytes(KEY_BYTES)]) as draft:
            try:
                self.path.hardlink_to(draft)
            except FileExistsError:
                return
            _sync_folder(self.path.parent)

    def read(self) -> tuple[Stamp, tuple[bytes, ...]]:
        """With the stamp of what was read; the first key is the one in use. Raises PermissionError when
        others may read it, ValueError when it holds no keys."""
        with self.path.open("rb") as file:
            found = os.fstat(file.fileno())
            mode = stat.S_IMODE(found.st_mode)
            if mode & 0o077:
                raise PermissionError(
                    f"{self.path} holds the master key but others may read it (mode {mode:04o}); "
                    f"run: chmod 600 {self.path}"
                )
            held = file.read()
        if len(held) not in (KEY_BYTES, _KEYS_MOST * KEY_BYTES):
            raise ValueError(f"{self.path} is no master key: it must hold {KEY_BYTES} bytes, not {len(held)}")
        keys = tuple(held[start : start + KEY_BYTES] for start in range(0, len(held), KEY_BYTES))
        return _stamp(found), keys

    def stamp(self) -> Stamp:
        """Another one when the file is another one."""
        return _stamp(self.path.stat())

    def rotate(self) -> None:
        """Put a new key before the one there is; not before a second: that one is yet to be retired."""
        if not self.has_old():
            self._write([secrets.token_bytes(KEY_BYTES), *self.read()[1]])

    def has_old(self) -> bool:
        """Whether there is one beside the one in use."""
        return len(self.read()[1]) > 1

    def retire(self) -> None:
        """Keep the key in use alone."""
        self._write(self.read()[1][:1])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Of those who mean to change the file, one at a time. Raises BlockingIOError."""
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def _write(self, keys: Sequence[bytes]) -> None:
        with self._draft(keys) as draft:
            draft.replace(self.path)
            _sync_folder(self.path.parent)

    @contextmanager
    def _draft(self, keys: Sequence[bytes]) -> Iterator[Path]:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(b"".join(keys))
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_ino, found.st_mtime_ns, found.st_size


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
