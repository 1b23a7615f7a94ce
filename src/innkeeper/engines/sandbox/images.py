"""Images: what a sandbox can be woken from, each a folder on disk that is there whole or not at all.

An image is made in a folder beside and put in place by one rename. `image.json` says of which kind it is; an
image of files has its checksum there, one of memory is checked by the driver.
"""

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from innkeeper.engines.sandbox import files_image
from innkeeper.engines.sandbox.sandbox import Sandbox, SandboxDriver, SandboxError, SandboxSpec

_NOTE = "image.json"
_FILES = "files.tar"
_TAR_OVERHEAD_MIB = 64
_MEMORY = "memory"


class ImageKind(StrEnum):
    """What is in it: all that went on inside, or the files alone."""

    MEMORY = "memory"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Image:
    id: str
    kind: ImageKind
    size_bytes: int


class Images:
    """Below `root`, which belongs to one server."""

    def __init__(self, root: Path, driver: SandboxDriver, scratch_mib: int, timeout_seconds: float) -> None:
        self._images = root / "images"
        self._unfinished = root / "unfinished"
        self._driver = driver
        self._scratch_mib = scratch_mib
        self._timeout_seconds = timeout_seconds
        self._memory: bool | None = None

    async def take(self, sandbox: Sandbox, *, go_on: bool, durable: bool = True) -> Image:
        """Unless it is to `go_on`, nothing happens in it any more: it has ended with an image of memory, and
        stands still with one of files, to be killed next. For one of files it must not be paused. One that is
        not `durable` serves this server alone. Raises SandboxError; then there is no image, and the sandbox
        is as before."""
        id_ = uuid4().hex
        draft = self._unfinished / id_
        try:
            await asyncio.to_thread(draft.mkdir, 0o700, parents=True)
            kind = await self._fill(draft, sandbox, go_on, durable)
            size = await asyncio.to_thread(_keep, draft, self._images / id_, durable)
        except OSError as error:
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
            raise SandboxError(f"no image could be made: {error.strerror or 'it took too long'}") from error
        except BaseException:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True))
            raise
        return Image(id_, kind, size)

    async def let_go_on(self, sandbox: Sandbox) -> None:
        """One that stands still since an image of files was taken."""
        await files_image.let_go_on(sandbox)

    async def copy(self, image_id: str) -> Image:
        """Another image of the same bytes, which are on disk only once. Raises SandboxError."""
        id_ = uuid4().hex
        draft = self._unfinished / id_
        try:
            await asyncio.to_thread(shutil.copytree, self._images / image_id, draft, copy_function=os.link)
            size = await asyncio.to_thread(_keep, draft, self._images / id_)
            note = await asyncio.to_thread(_read_note, self._images / id_)
        except OSError as error:
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
            raise SandboxError(f"no image could be made: {error.strerror}") from error
        return Image(id_, ImageKind(note["kind"]), size)

    async def restore(self, image_id: str, spec: SandboxSpec) -> Sandbox:
        """Raises SandboxError; then nothing of the attempt is left."""
        folder = self._images / image_id
        try:
            note = await asyncio.to_thread(_read_note, folder)
        except (OSError, ValueError) as error:
            raise SandboxError("its image is gone or damaged") from error
        if note["kind"] == ImageKind.MEMORY:
            return await self._driver.restore(folder / _MEMORY, spec)
        sandbox = await self._driver.create(spec)
        try:
            await files_image.load(sandbox, folder / _FILES, note["sha256"], self._timeout_seconds)
        except BaseException:
            await asyncio.shield(sandbox.kill())
            raise
        return sandbox

    async def of_memory(self) -> bool:
        """Whether images are of memory and files here, or of files alone."""
        if self._memory is None:
            self._memory = (await self._driver.probe()).can_snapshot
        return self._memory

    async def _fill(self, draft: Path, sandbox: Sandbox, go_on: bool, durable: bool) -> ImageKind:
        if await self.of_memory():
            await _write_note(draft, {"kind": ImageKind.MEMORY})  # before: there may be no sandbox after
            async with asyncio.timeout(self._timeout_seconds):
                await sandbox.snapshot(draft / _MEMORY, keep_running=go_on, durable=durable)
            return ImageKind.MEMORY
        limit = (self._scratch_mib * (len(sandbox.folders) + 1) + _TAR_OVERHEAD_MIB) << 20
        digest = await files_image.save(sandbox, draft / _FILES, limit, self._timeout_seconds, go_on=go_on)
        await _write_note(draft, {"kind": ImageKind.FILES, "sha256": digest})
        return ImageKind.FILES

    async def delete(self, image_id: str) -> None:
        """Out of its place first: a removal cut short must not leave half an image."""
        await asyncio.to_thread(_discard, self._images / image_id, self._unfinished / image_id)

    async def sweep(self, keep: set[str]) -> None:
        """Remove what a killed server left unfinished, and images that nothing stands on."""
        await asyncio.to_thread(shutil.rmtree, self._unfinished, ignore_errors=True)
        for folder in await asyncio.to_thread(_folders, self._images):
            if folder.name not in keep:
                await self.delete(folder.name)


async def _write_note(draft: Path, note: dict[str, str]) -> None:
    await asyncio.to_thread((draft / _NOTE).write_text, json.dumps(note), "utf-8")


def _read_note(folder: Path) -> dict[str, str]:
    note: dict[str, str] = json.loads((folder / _NOTE).read_text("utf-8"))
    return note


def _keep(draft: Path, folder: Path, durable: bool = True) -> int:
    """Its size in bytes. A durable one is on disk before it is in its place, and in its place before anyone
    hears of it: a power cut leaves no image that is told of but empty."""
    size = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
    folder.parent.mkdir(parents=True, exist_ok=True)
    if durable:
        for path in (*draft.iterdir(), draft):  # what lies deeper, the driver has put on disk
            _sync(path)
    draft.rename(folder)
    if durable:
        _sync(folder.parent)
    return size


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _discard(folder: Path, away: Path) -> None:
    away.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(away)
    except FileNotFoundError:
        return
    shutil.rmtree(away, ignore_errors=True)


def _folders(parent: Path) -> list[Path]:
    return list(parent.iterdir()) if parent.is_dir() else []
