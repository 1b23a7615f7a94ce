"""Session storage: folders that outlive a session's sandbox, mounted below /mnt."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from innkeeper.engines.sandbox.sandbox import Mount
from innkeeper.services.runtime.model import SessionKey


class SessionStorage:
    """`root/ACCOUNT/RUNTIME/ENDPOINT/SESSION/VERSION/NAME`: a new version starts with empty storage."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def mounts(self, key: SessionKey, version: int, paths: Sequence[str]) -> list[Mount]:
        """Make the folders and drop those of other versions."""
        if not paths:
            return []
        return await asyncio.to_thread(self._mounts, key, version, paths)

    async def delete(self, account: str, runtime_id: str, endpoint: str | None = None) -> None:
        """Delete the storage of all sessions of a runtime, or of one of its endpoints."""
        folder = self._root / account / runtime_id
        if endpoint is not None:
            folder /= endpoint
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def copy(self, source: SessionKey, key: SessionKey) -> None:
        """Give a new session all that another has. Raises OSError; then nothing is copied."""
        await asyncio.to_thread(self._copy, self._folder(source), self._folder(key))

    async def forget(self, key: SessionKey) -> None:
        await asyncio.to_thread(shutil.rmtree, self._folder(key), ignore_errors=True)

    def _folder(self, key: SessionKey) -> Path:
        return self._root / key.account / key.runtime_id / key.endpoint / key.file_name

    def _copy(self, source: Path, folder: Path) -> None:
        if not source.exists():
            return
        try:
            shutil.copytree(source, folder, symlinks=True)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _mounts(self, key: SessionKey, version: int, paths: Sequence[str]) -> list[Mount]:
        folder = self._folder(key)
        if folder.exists():
            for other in folder.iterdir():
                if other.name != str(version):
                    shutil.rmtree(other, ignore_errors=True)
        mounts = []
        for path in paths:
            source = folder / str(version) / PurePosixPath(path).name
            source.mkdir(parents=True, exist_ok=True, mode=0o700)
            mounts.append(Mount(source, path, writable=True))
        return mounts
