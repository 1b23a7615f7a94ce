"""Frames on the two pipes between the host and the guest agent of a gVisor sandbox.

Pipes, because they are what survives a snapshot: gVisor puts those of the process that restores it in their
place. A frame has a header: its kind, the number of a stream, and a length or an amount. A `CALL` holds one
message of `engines/sandbox/calls.py`, `DATA` bytes of a stream, and both are as long as the header says;
`END` says that no more of a stream comes, `DROP` that no more of it is wanted, and `CREDIT` how many bytes
more of it may be sent. So what nobody reads holds up its own stream, and never the pipe.
"""

from __future__ import annotations

import _thread
import os
import struct

CALL, DATA, END, DROP, CREDIT = range(5)
WINDOW_BYTES = 262_144  # what may be on its way in a stream that has just begun
CHUNK_BYTES = 65_536

_HEADER = struct.Struct("!BiI")
_READ_BYTES = 65_536  # a larger buffer would be mapped for each read, which takes gVisor a millisecond

Frame = tuple[int, int, int, bytes]
"""Kind, stream, length or amount, and what it holds."""


def packed(kind: int, stream: int, data: bytes | bytearray | memoryview = b"", amount: int = 0) -> bytes:
    return _HEADER.pack(kind, stream, len(data) or amount) + data


class Frames:
    """Finds the frames in what is read. None may hold more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._read = bytearray()

    def feed(self, data: bytes) -> None:
        self._read += data

    def take(self) -> Frame | None:
        """The next one, if it is whole. Raises ValueError for one that is none."""
        if len(self._read) < _HEADER.size:
            return None
        kind, stream, amount = _HEADER.unpack_from(self._read)
        length = amount if kind in (CALL, DATA) else 0
        if kind > CREDIT or length > self._limit:
            raise ValueError("this is no frame")
        end = _HEADER.size + length
        if len(self._read) < end:
            return None
        held = bytes(self._read[_HEADER.size : end])
        del self._read[:end]
        return kind, stream, amount, held


class Wire:
    """The guest agent's end. `send` may be called by any thread."""

    def __init__(self, heard: int, said: int, limit: int) -> None:
        self.heard = heard
        self._said = said
        self._frames = Frames(limit)
        self._sending = _thread.allocate_lock()

    def send(self, kind: int, stream: int, data: bytes = b"", amount: int = 0) -> None:
        """The host reads whatever comes, so this does not wait for long."""
        rest = memoryview(packed(kind, stream, data, amount))
        with self._sending:
            while rest:
                rest = rest[os.write(self._said, rest) :]

    def receive(self) -> bool:
        """Wait for something to come; False when the host has closed its end."""
        data = os.read(self.heard, _READ_BYTES)
        self._frames.feed(data)
        return bool(data)

    def take(self) -> Frame | None:
        return self._frames.take()
