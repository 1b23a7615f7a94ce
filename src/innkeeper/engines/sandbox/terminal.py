"""Our end of a pseudo-terminal as two transports, one to write and one to read.

The event loops' pipes are not made for it: a terminal whose last program has gone reports an input/output
error as its end of file, and uvloop reads from what it was given to write to.
"""

import asyncio
import errno
import os
from typing import Any, BinaryIO

_CHUNK_BYTES = 65_536
_PAUSE_BYTES = 65_536


class TerminalInput(asyncio.WriteTransport):
    """What is typed. Closing it leaves the terminal open: its programs go on, and are heard."""

    def __init__(self, terminal: BinaryIO, protocol: asyncio.StreamReaderProtocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._terminal = terminal
        self._protocol = protocol
        self._waiting = bytearray()
        self._closing = False
        protocol.connection_made(self)

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def write(self, data: Any) -> None:
        if self._closing:
            return
        if not self._waiting:
            self._loop.add_writer(self._terminal.fileno(), self._write)
        self._waiting += data
        if len(self._waiting) > _PAUSE_BYTES:
            self._protocol.pause_writing()

    def close(self) -> None:
        """What is still waiting is not typed: a program that does not read would keep it for ever."""
        if not self._closing:
            self._closing = True
            self._loop.remove_writer(self._terminal.fileno())
            self._loop.call_soon(self._protocol.connection_lost, None)

    def _write(self) -> None:
        try:
            written = os.write(self._terminal.fileno(), self._waiting)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        paused = len(self._waiting) > _PAUSE_BYTES
        del self._waiting[:written]
        if paused and len(self._waiting) <= _PAUSE_BYTES:
            self._protocol.resume_writing()
        if not self._waiting:
            self._loop.remove_writer(self._terminal.fileno())


class TerminalOutput(asyncio.ReadTransport):
    """What is shown, fed to `reader`. Owns the terminal: closing it hangs up on its programs."""

    def __init__(self, terminal: BinaryIO, reader: asyncio.StreamReader, typed: TerminalInput) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._terminal = terminal
        self._reader = reader
        self._typed = typed
        reader.set_transport(self)
        self.resume_reading()

    def is_closing(self) -> bool:
        return self._terminal.closed

    def pause_reading(self) -> None:
        if not self._terminal.closed:
            self._loop.remove_reader(self._terminal.fileno())

    def resume_reading(self) -> None:
        if not self._terminal.closed:
            self._loop.add_reader(self._terminal.fileno(), self._read)

    def close(self) -> None:
        if not self._terminal.closed:
            self._typed.close()
            self._loop.remove_reader(self._terminal.fileno())
            self._terminal.close()
            self._reader.feed_eof()

    def _read(self) -> None:
        try:
            data = os.read(self._terminal.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                self._reader.set_exception(error)
            data = b""
        if data:
            self._reader.feed_data(data)
        else:
            self.close()
