"""Blobs as files of a local folder.

A key may be any text, so a file is named by the key's SHA-256, two levels deep: no key can name a path, and
no folder grows large. A blob is written to a draft first, made durable, and then takes its name in one step:
readers see the old blob or the new one, whole.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from innkeeper.engines.blobs.draft import Draft, make_folder, remove_left_overs, sync_folder

_CHUNK_BYTES = 1 << 20
_KEY_MAX_BYTES = 2048


class FolderBlobs:
    """`root` is made when it is not there. A key has 1 to 2048 bytes in UTF-8; others raise ValueError."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._drafts = root / "drafts"
        make_folder(self._blobs)
        make_folder(self._drafts)
        remove_left_overs(self._drafts)

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        path = self._path(key)
        draft = await asyncio.to_thread(Draft, self._drafts)
        try:
            size = 0
            async for block in _blocks(chunks):
                size += await asyncio.to_thread(draft.file.write, block)
            await asyncio.to_thread(draft.publish, path)
        finally:
            await asyncio.to_thread(draft.discard)
        return size

    async def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        if start < 0 or (length is not None and length < 0):
            raise ValueError(f"a range may not be negative: {start=}, {length=}")
        file = await asyncio.to_thread(self._open, key)
        try:
            file.seek(start)
            left = length
            while left is None or left > 0:
                wanted = _CHUNK_BYTES if left is None else min(left, _CHUNK_BYTES)
                chunk = await asyncio.to_thread(file.read, wanted)
                if not chunk:
                    return
                yield chunk
                left = None if left is None else left - len(chunk)
        finally:
            file.close()

    async def copy_to(self, key: str, path: Path) -> None:
        await asyncio.to_thread(self._copy, key, path)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(_delete, self._path(key))

    def _path(self, key: str) -> Path:
        name = key.encode()
        if not 1 <= len(name) <= _KEY_MAX_BYTES:
            raise ValueError(f"a blob's key has 1 to {_KEY_MAX_BYTES} bytes, not {len(name)}")
        digest = sha256(name).hexdigest()
        return self._blobs / digest[:2] / digest[2:4] / digest

    def _open(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb")
        except FileNotFoundError:
            raise KeyError(key) from None

    def _copy(self, key: str, path: Path) -> None:
        # A copy and never a hard link: what happens to the file may not change the blob.
        with self._open(key) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks of about 1 MiB: a thread is not worth its price for a small chunk."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= _CHUNK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)
