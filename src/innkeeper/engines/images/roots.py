"""Root file systems of images, each unpacked once into a folder that its digest names."""

import asyncio
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from innkeeper.engines.images.archive import Archive
from innkeeper.engines.images.image import Defaults, ImageError, ImageLimits, Unpacked
from innkeeper.engines.images.tree import Tree

_NOTE = "image.json"
_ROOT = "root"


@dataclass(frozen=True, slots=True)
class Root:
    path: Path
    image: Unpacked


class Roots:
    """Below `folder`, which belongs to one server."""

    def __init__(self, folder: Path, limits: ImageLimits) -> None:
        self._roots = folder / "roots"
        self._unfinished = folder / "unfinished"
        self._limits = limits
        self._one = asyncio.Lock()  # unpacking is bound by the disk

    async def sweep(self, keep: set[str]) -> None:
        """Remove what a killed server left unfinished, and all but these images, by their digests."""
        await asyncio.to_thread(self._sweep, keep)

    async def unpack(self, archive: Path) -> Root:
        """An OCI image layout in a tar file. Found when it was unpacked before. Raises ImageError."""
        async with self._one:
            work = asyncio.create_task(asyncio.to_thread(self._unpack, archive))
            try:
                digest = await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait({work})  # it must not write on while its folder is cleared away
                raise
        return await self.find(digest)

    async def find(self, digest: str) -> Root:
        """Raises ImageError when it is not here."""
        return await asyncio.to_thread(self._find, digest)

    def _sweep(self, keep: set[str]) -> None:
        """Out of its place first: a removal cut short must not leave half an image."""
        shutil.rmtree(self._unfinished, ignore_errors=True)
        for folder in self._roots.iterdir() if self._roots.is_dir() else ():
            if folder.name not in keep:
                self._unfinished.mkdir(exist_ok=True)
                away = folder.rename(self._unfinished / folder.name)
                shutil.rmtree(away, ignore_errors=True)

    def _find(self, digest: str) -> Root:
        folder = self._roots / digest
        try:
            note = json.loads((folder / _NOTE).read_text("utf-8"))
        except FileNotFoundError as error:
            raise ImageError(f"image {digest[:12]} is not here any more: import it again") from error
        defaults = Defaults(**{**note["defaults"], "command": tuple(note["defaults"]["command"])})
        told = {**note, "defaults": defaults, "notes": tuple(note["notes"])}
        return Root(folder / _ROOT, Unpacked(**told))

    def _unpack(self, archive: Path) -> str:
        with Archive(archive, self._limits) as opened:
            folder = self._roots / opened.digest
            if folder.is_dir():
                return opened.digest
            draft = self._unfinished / uuid4().hex
            (draft / _ROOT).mkdir(parents=True, mode=0o755)
            try:
                unpacked = self._fill(draft / _ROOT, opened)
                (draft / _NOTE).write_text(json.dumps(asdict(unpacked)), "utf-8")
                os.sync()  # a power cut after the rename must not leave empty files behind
                self._roots.mkdir(parents=True, exist_ok=True)
                draft.rename(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            return opened.digest

    def _fill(self, root: Path, archive: Archive) -> Unpacked:
        tree = Tree(root, self._limits)
        for digest in archive.layers():
            with archive.layer(digest) as layer:
                tree.apply(layer)
        notes = []
        if tree.left_out:
            notes.append(f"{tree.left_out} devices, pipes or sockets of the image were left out")
        if archive.defaults.user not in ("", "0", "root"):
            notes.append(f"the image's user {archive.defaults.user!r} is not kept: all runs as agent")
        return Unpacked(
            archive.digest, archive.defaults, tree.size_bytes, tree.has("bin", "sh"), tuple(notes)
        )
