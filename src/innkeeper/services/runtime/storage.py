"""Session storage: folders that outlive a session's sandbox, mounted below /mnt."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import uuid4

from innkeeper.engines.sandbox.sandbox import Mount
from innkeeper.services.runtime.model import SessionKey


@dataclass(frozen=True, slots=True)
class Kept:
    """A copy of a session's storage as it was at one time."""

    id: str
    size_bytes: int


class SessionStorage:
    """`root/ACCOUNT/RUNTIME/ENDPOINT/SESSION/VERSION/NAME`: a new version starts with empty storage.

    Copies lie in `kept/ID/NAME`. One that is put in a session's place gets the name `VERSION.ID` there: a
    path that no sandbox has mounted yet, whoever holds the one before.
    """

    def __init__(self, root: Path, kept: Path) -> None:
        self._root = root
        self._kept = kept

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

    async def forget(self, key: SessionKey) -> None:
        """Delete that of one session."""
        await asyncio.to_thread(shutil.rmtree, self._folder(key), ignore_errors=True)

    async def keep(self, key: SessionKey, version: int) -> Kept | None:
        """A copy of what a session has now, on disk; None where it has no storage. Raises OSError; then there
        is no copy."""
        return await asyncio.to_thread(self._keep, key, version)

    async def copy(self, id_: str) -> str:
        """One more of a copy. Raises OSError; then there is none."""
        return (await asyncio.to_thread(_copied, self._kept / id_, self._kept)).id

    async def put(self, key: SessionKey, version: int, id_: str, before: str | None = None) -> None:
        """Give a session that has no sandbox this copy; what it had is the copy `before`, or gone. To be done
        again after a crash: then it does what is left to do."""
        await asyncio.to_thread(self._put, key, version, id_, before)

    async def discard(self, id_: str) -> None:
        """Delete a copy that was not put anywhere."""
        await asyncio.to_thread(shutil.rmtree, self._kept / id_, ignore_errors=True)

    async def sweep(self, keep: set[str]) -> None:
        """Delete all copies but these."""
        folders = await asyncio.to_thread(_children, self._kept)
        for folder in folders:
            if folder.name not in keep:
                await self.discard(folder.name)

    def _folder(self, key: SessionKey) -> Path:
        return self._root / key.account / key.runtime_id / key.endpoint / key.file_name

    def _keep(self, key: SessionKey, version: int) -> Kept | None:
        found = [folder for folder in _children(self._folder(key)) if _version(folder) == str(version)]
        return _copied(found[0], self._kept) if found else None

    def _put(self, key: SessionKey, version: int, id_: str, before: str | None) -> None:
        folder = self._folder(key)
        copy, place = self._kept / id_, folder / f"{version}.{id_}"
        if copy.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            copy.rename(place)
        if not place.exists():
            return
        for other in _children(folder):
            if other != place and before and _version(other) == str(version):
                other.rename(self._kept / before)
            elif other != place:
                shutil.rmtree(other, ignore_errors=True)

    def _mounts(self, key: SessionKey, version: int, paths: Sequence[str]) -> list[Mount]:
        folder = self._folder(key)
        place = folder / str(version)
        for found in _children(folder):
            if _version(found) == str(version):
                place = found
            else:
                shutil.rmtree(found, ignore_errors=True)
        mounts = []
        for path in paths:
            source = place / PurePosixPath(path).name
            source.mkdir(parents=True, exist_ok=True, mode=0o700)
            mounts.append(Mount(source, path, writable=True))
        return mounts


def _version(folder: Path) -> str:
    return folder.name.partition(".")[0]


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _copied(source: Path, parent: Path) -> Kept:
    """On disk before anybody hears of it."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = parent / uuid4().hex
    try:
        shutil.copytree(source, folder, symlinks=True, copy_function=_copy_synced)
        size = 0
        for place, _, files in os.walk(folder):
            size += sum((Path(place) / name).lstat().st_size for name in files)
            _sync(place)
        _sync(parent)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Kept(folder.name, size)


def _copy_synced(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    _sync(target)


def _sync(path: str | Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
