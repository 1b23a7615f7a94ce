"""A blob while it is being written: a file that takes its name only when it is whole and durable.

A draft is locked as long as its writer lives, so that a starting server can tell what a dead one left behind
from what another is writing right now.
"""

import contextlib
import fcntl
import os
import secrets
from pathlib import Path


class Draft:
    """`discard` it in the end, published or not."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / secrets.token_hex(16)
        self.file = self._path.open("xb")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def publish(self, path: Path) -> None:
        """Durable under `path` on return."""
        self.file.flush()
        os.fsync(self.file.fileno())
        make_folder(path.parent)
        self._path.replace(path)
        sync_folder(path.parent)

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)
        self.file.close()


def remove_left_overs(folder: Path) -> None:
    """Remove the drafts in `folder` whose writer is gone."""
    for path in folder.iterdir():
        # Not there any more: another server published it, or removed it as we do.
        # Blocked: its writer lives.
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def make_folder(folder: Path) -> None:
    """Durable on return, as are the parents that it made."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
