"""Folders of packages, each made once for what was asked, and found again by the same words."""

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from innkeeper.services.builder.folder import make_readable, size
from innkeeper.services.builder.model import BuildFailed, BuildLimits, Layer
from innkeeper.services.builder.thread import in_thread

_NOTE = "layer.json"
_CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Filled:
    """What a folder was filled with: `resolved` and `notes` of the layer."""

    resolved: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


Fill = Callable[[Path], Awaitable[Filled]]
"""Fills an empty folder. Raises BuildFailed."""


class Layers:
    """Below `root/layers`. One is made in `root/unfinished` and put in place by one rename."""

    def __init__(self, root: Path, limits: BuildLimits) -> None:
        self.root = root / "layers"
        self._unfinished = root / "unfinished"
        self._limits = limits
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(limits.concurrent_builds)

    def name(self, asked: Sequence[str]) -> str:
        """Of the folder of what was asked for."""
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:40]

    async def find(self, asked: Sequence[str], fill: Fill) -> Layer:
        """Found, or made now. Raises BuildFailed."""
        folder = self.root / self.name(asked)
        lock = self._locks.setdefault(folder.name, asyncio.Lock())
        async with lock:
            if not await in_thread(folder.is_dir):
                async with self._places:
                    await self._make(folder, fill)
        return await in_thread(_read, folder)

    async def _make(self, folder: Path, fill: Fill) -> None:
        draft = await in_thread(self._draft)
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                filled = await fill(draft / _CONTENT)
            await in_thread(self._keep, draft, folder, filled)
        except TimeoutError as error:
            raise BuildFailed(f"the build took longer than {self._limits.timeout_seconds:g} s") from error
        finally:
            await in_thread(shutil.rmtree, draft, ignore_errors=True)

    def _draft(self) -> Path:
        self._unfinished.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=self._unfinished))
        (draft / _CONTENT).mkdir()
        return draft

    def _keep(self, draft: Path, folder: Path, filled: Filled) -> None:
        total = size(draft)
        if total > self._limits.unpacked_bytes:
            raise BuildFailed(f"the packages have {total} bytes; {self._limits.unpacked_bytes} are allowed")
        note = {"sizeBytes": total, "resolved": filled.resolved, "notes": filled.notes}
        (draft / _NOTE).write_text(json.dumps(note), "utf-8")
        make_readable(draft)
        os.sync()  # a power cut after the rename must not leave empty files behind
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(folder)


def _read(folder: Path) -> Layer:
    os.utime(folder)
    note = json.loads((folder / _NOTE).read_text("utf-8"))
    return Layer(folder / _CONTENT, note["sizeBytes"], note["resolved"], tuple(note["notes"]))
