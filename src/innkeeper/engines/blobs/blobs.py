"""Bytes under a key: code archives and large files."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol


class Blobs(Protocol):
    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """Store the whole stream, or nothing; durable on return. Gives the size in bytes."""
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Raises KeyError when there is no such blob."""
        ...

    async def copy_to(self, key: str, path: Path) -> None:
        """Make the blob a local file. Raises KeyError."""
        ...

    async def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        ...
