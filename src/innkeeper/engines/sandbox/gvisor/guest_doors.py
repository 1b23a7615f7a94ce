"""The doors of a gVisor sandbox from inside: connections to listening sockets of the host.

A door is named by the request that needs it. Through it go the connections of `dial` and of relays, and
files: one is sent as frames, a 32-bit length and the data, then 0, or minus an errno; one that is received is
answered with an errno or 0. A snapshot cannot hold a connection to the host, so all can be broken off.
"""

from __future__ import annotations

import _socket
import _thread
import errno
import os
import struct
import time

AGENT = 1000
DOORS = "/run/innkeeper/doors"
STATUS = struct.Struct("!i")
CHUNK_BYTES = 65_536

_BREAK_OFF_SECONDS = 5.0
_LOOK_SECONDS = 0.001


class Tolerant:
    """`contextlib.suppress(OSError)`, without the time that `contextlib` takes to load."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


class Doors:
    """Every descriptor that has to do with a door is known here, for as long as it is open."""

    def __init__(self) -> None:
        # Who we are is the same for all threads: none may knock while the agent's rights are tried, nor
        # while everything stands still for a snapshot.
        self.identity = _thread.allocate_lock()
        self._open: set[int] = set()
        self._changing = _thread.allocate_lock()

    def knock(self, door: bytes) -> int:
        """A connection to the door of this name; `leave` it."""
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            with self.identity:
                connection.connect(f"{DOORS}/{door.decode()}")
                return self.know(connection.detach())
        except OSError:
            connection.close()
            raise

    def hand(self, door: bytes, name: bytes) -> None:
        """Have who listens at this Unix socket of the sandbox take a connection to the door for its own."""
        kind = _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        listener = _socket.socket(_socket.AF_UNIX, kind)
        try:
            listener.connect(name)
            connection = self.knock(door)
            try:
                rights = _socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", connection)
                listener.sendmsg([b"\0"], [rights])
            finally:
                self.leave(connection)
        finally:
            listener.close()

    def know(self, fd: int) -> int:
        with self._changing:
            self._open.add(fd)
        return fd

    def leave(self, fd: int) -> None:
        with self._changing:
            self._open.discard(fd)
            os.close(fd)

    def break_off(self) -> bool:
        """End every connection; call it with `identity` held. False when one of them does not end."""
        deadline = time.monotonic() + _BREAK_OFF_SECONDS
        while self._open and time.monotonic() < deadline:
            with self._changing:
                for fd in self._open:
                    _shut(fd, _socket.SHUT_RDWR)
            time.sleep(_LOOK_SECONDS)
        return not self._open

    def join(self, inside: int, door: int) -> None:
        """Carry both ways; each way ends by itself."""
        self.know(inside)
        in_thread(self._pour, self.know(os.dup(inside)), self.know(os.dup(door)))
        in_thread(self._pour, door, inside)

    def _pour(self, source: int, sink: int) -> None:
        """Carry everything from `source` to `sink`; both are closed then."""
        try:
            while data := os.read(source, CHUNK_BYTES):
                _write_all(sink, data)
        except OSError:
            pass  # one of them has broken off: so does the other
        _shut(source, _socket.SHUT_RD)
        _shut(sink, _socket.SHUT_WR)
        self.leave(source)
        self.leave(sink)

    def send_file(self, file: int, door: int) -> None:
        try:
            end = 0
            while True:
                try:
                    data = os.read(file, CHUNK_BYTES)
                except OSError as error:
                    end, data = -(error.errno or errno.EIO), b""
                _write_all(door, STATUS.pack(len(data) or end) + data)
                if not data:
                    return
        except OSError:
            pass  # the host has seen enough
        finally:
            os.close(file)
            self.leave(door)

    def receive_file(self, file: int, door: int) -> None:
        failure = 0
        while data := os.read(door, CHUNK_BYTES):
            try:
                if not failure:
                    _write_all(file, data)
            except OSError as error:
                failure = error.errno or errno.EIO
        os.close(file)
        try:
            _write_all(door, STATUS.pack(failure))
        finally:
            self.leave(door)


def in_thread(work: object, *arguments: object) -> None:
    _thread.start_new_thread(work, arguments)  # type: ignore[call-overload]


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _shut(fd: int, how: int) -> None:
    """End this way of a connection for all who share it."""
    connection = _socket.socket(fileno=fd)
    with Tolerant():
        connection.shutdown(how)
    connection.detach()
