"""What a session's processes print, kept in a file of bounded size."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from innkeeper.services.runtime.model import SessionKey

_CHUNK = 1 << 16
_POLL_SECONDS = 0.25
_BYTES_PER_SECOND = 20_000_000


def log_of(root: Path, key: SessionKey) -> Path:
    """Where the log of a session's id is kept: all its lives, one after the other."""
    return root / key.account / key.runtime_id / f"{key.endpoint}-{key.file_name}.log"


def delete_log(path: Path) -> None:
    for file in (path, _older(path)):
        file.unlink(missing_ok=True)


class SessionLog:
    """Appends to `path`. Past half of `max_bytes` the file becomes `path.1` and a new one begins."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._half = max_bytes // 2
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, data: bytes) -> None:
        if self._size + len(data) > self._half:
            self._file.close()
            self._path.replace(_older(self._path))
            self._file = self._path.open("ab", buffering=0)
            self._size = 0
        self._file.write(data)
        self._size += len(data)

    def note(self, text: str) -> None:
        """A line of ours among the agent's."""
        self.write(f"[innkeeper] {text}\n".encode())

    async def pump(self, stream: asyncio.StreamReader) -> None:
        """Keep everything that comes from the stream, until its end. A flood waits in the agent's pipe."""
        while chunk := await stream.read(_CHUNK):
            self.write(chunk)
            await asyncio.sleep(len(chunk) / _BYTES_PER_SECOND)

    def close(self) -> None:
        self._file.close()


async def read_log(path: Path, ended: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """The whole log, oldest first. With `ended`, goes on as it grows until that event is set."""
    async for chunk, _ in _read(_older(path), 0):
        yield chunk
    position = 0
    while True:
        last = ended is None or ended.is_set()
        async for chunk, end in _read(path, position):
            position = end
            yield chunk
        if last:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def _read(path: Path, position: int) -> AsyncIterator[tuple[bytes, int]]:
    """Pieces of the file from a position on, each with the position behind it."""
    while True:
        chunk, position = await asyncio.to_thread(_read_piece, path, position)
        if not chunk:
            return
        yield chunk, position


def _read_piece(path: Path, position: int) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < position:
                position = 0  # a new file has begun since
            file.seek(position)
            chunk = file.read(_CHUNK)
            return chunk, position + len(chunk)
    except FileNotFoundError:
        return b"", position


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")
