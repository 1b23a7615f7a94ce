"""Doors: listening sockets of the host to which the guest agent of a gVisor sandbox connects.

They lie in a folder that only the sandbox's root, the guest agent, can enter. Each request that needs a
stream names a door of its own, and the guest agent connects to it before it answers.
"""

import contextlib
import itertools
import os
import socket
from pathlib import Path
from types import TracebackType

from innkeeper.engines.sandbox.sandbox import SandboxError

_BACKLOG = 128


class Door:
    """A context: the door is closed with it. `listener` is not blocking."""

    def __init__(self, folder: int, name: str) -> None:
        self.name = name
        self._path = f"/proc/self/fd/{folder}/{name}"  # the folder's own name may be too long for a socket
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self.listener.bind(self._path)
        except OSError:
            self.listener.close()
            raise
        Path(self._path).chmod(0o666)
        self.listener.listen(_BACKLOG)

    def __enter__(self) -> "Door":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take(self) -> socket.socket:
        """The next connection, not blocking. Raises SandboxError when the guest agent made none."""
        try:
            stream, _ = self.listener.accept()
        except BlockingIOError:
            raise SandboxError("the guest agent opened no stream") from None
        stream.setblocking(False)
        return stream

    def close(self) -> None:
        self.listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 (a path through a descriptor)


class Doors:
    def __init__(self, folder: Path) -> None:
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._numbers = itertools.count()

    def open(self, name: str | None = None) -> Door:
        """Without a name, one that no other door had."""
        return Door(self._folder, name or str(next(self._numbers)))

    def close(self) -> None:
        os.close(self._folder)
