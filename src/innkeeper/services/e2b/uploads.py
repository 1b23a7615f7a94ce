"""Archives of files that template builds copy, kept on disk by the hash that the SDK gives them."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

from innkeeper.kernel.errors import InvalidRequest, PayloadTooLarge, QuotaExceeded

_HASH = re.compile(r"[0-9a-f]{64}")
_KEPT_SECONDS = 86_400.0


class Uploads:
    """`root/ACCOUNT/HASH`; one archive has at most `file_bytes`, an account's together `total_bytes`."""

    def __init__(self, root: Path, file_bytes: int, total_bytes: int) -> None:
        self._root = root
        self._file_bytes = file_bytes
        self._total_bytes = total_bytes

    def path(self, account: str, files_hash: str) -> Path:
        """Raises InvalidRequest."""
        if not _HASH.fullmatch(files_hash):
            raise InvalidRequest("the hash of files must be 64 hexadecimal digits")
        return self._root / account / files_hash

    async def has(self, account: str, files_hash: str) -> bool:
        return await asyncio.to_thread(self.path(account, files_hash).is_file)

    async def put(self, account: str, files_hash: str, chunks: AsyncIterator[bytes]) -> None:
        """There whole or not at all. Raises InvalidRequest, PayloadTooLarge, QuotaExceeded."""
        path = self.path(account, files_hash)
        draft = path.with_name(f".{uuid4().hex}")
        left = self._total_bytes - await asyncio.to_thread(_total, path.parent)
        size = 0
        try:
            with await asyncio.to_thread(draft.open, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self._file_bytes:
                        raise PayloadTooLarge(f"the files of a step may have {self._file_bytes} bytes")
                    if size > left:
                        raise QuotaExceeded(f"an account's uploads take at most {self._total_bytes} bytes")
                    await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(draft.rename, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(draft.unlink)

    async def prune(self, account: str, keep: set[str]) -> None:
        """Forget those that no build needs and that were not just uploaded."""
        await asyncio.to_thread(_prune, self._root / account, keep)


def _total(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return sum(path.stat().st_size for path in folder.iterdir())


def _prune(folder: Path, keep: set[str]) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in keep and path.stat().st_mtime + _KEPT_SECONDS < time.time():
            path.unlink()
