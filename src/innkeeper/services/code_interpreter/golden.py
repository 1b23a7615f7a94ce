"""Golden snapshots: a sandbox with everything loaded, written to disk once, from which others go on.

One is kept under the hash of all that its memory depends on, and is put in place by one rename: it is there
whole or not at all. The driver refuses it on another machine or after its own change; then it is made anew.
"""

import asyncio
import hashlib
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import Process, Sandbox, SandboxDriver, SandboxError, SandboxSpec
from innkeeper.kernel.ids import random_suffix

_LOG = logging.getLogger(__name__)
_KEPT = 4
_DRAFT = "draft-"


@dataclass(frozen=True, slots=True)
class Copy:
    """A sandbox that goes on from a golden snapshot, and the process that was ready in it."""

    sandbox: Sandbox
    process: Process


class GoldenSnapshots:
    """`root/KEY/image` is the driver's snapshot, `root/KEY/process` names the process that is ready in it.
    `programs` is a folder whose content is in the memory of what runs, `imports` what it has loaded."""

    def __init__(self, driver: SandboxDriver, root: Path, programs: Path, imports: Sequence[str]) -> None:
        self._driver = driver
        self._root = root
        self._programs = programs
        self._imports = imports
        self._refused: set[str] = set()

    async def sweep(self) -> None:
        """Remove what a killed server left unfinished."""
        await asyncio.to_thread(self._sweep)

    async def copy(self, spec: SandboxSpec) -> Copy | None:
        """None where there is no golden snapshot for this spec, or none that still fits."""
        folder = self._root / await asyncio.to_thread(self._key, spec)
        try:
            process_id = int(await asyncio.to_thread(_opened, folder))
        except (OSError, ValueError):
            return None
        try:
            sandbox = await self._driver.restore(folder / "image", spec, again=True)
        except SandboxError as error:
            _LOG.info("the golden snapshot is given up: %s", error)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            return None
        try:
            return Copy(sandbox, sandbox.process(process_id))
        except SandboxError:
            await asyncio.shield(sandbox.kill())
            raise

    async def keep(self, spec: SandboxSpec, sandbox: Sandbox, process: Process) -> None:
        """Make this sandbox, which goes on, the golden one for its spec, where the driver can."""
        key = await asyncio.to_thread(self._key, spec)
        if key in self._refused or (self._root / key).exists():
            return
        draft = self._root / f"{_DRAFT}{random_suffix()}"
        try:
            await asyncio.to_thread(draft.mkdir, 0o700, parents=True)
            await sandbox.snapshot(draft / "image")
            await asyncio.to_thread(self._put, draft, key, process.id)
        except (SandboxError, OSError) as error:
            self._refused.add(key)
            _LOG.info("no golden snapshot, so that sandboxes take longer to be made: %s", error)
        finally:
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)

    def _key(self, spec: SandboxSpec) -> str:
        """All of the spec but its id, the programs in the sandbox, and what they have loaded."""
        mounts = [(str(mount.source), mount.target, mount.writable) for mount in spec.mounts]
        told = (spec.network, mounts, sorted(spec.environment.items()), spec.limits, [*self._imports])
        digest = hashlib.sha256(repr(told).encode())
        for program in sorted(self._programs.iterdir()):
            if program.is_file():
                digest.update(program.read_bytes())
        return digest.hexdigest()

    def _put(self, draft: Path, key: str, process_id: int) -> None:
        with (draft / "process").open("w") as file:
            file.write(str(process_id))
            os.fsync(file.fileno())
        draft.rename(self._root / key)
        for old in sorted(self._root.iterdir(), key=lambda path: -path.stat().st_mtime)[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)

    def _sweep(self) -> None:
        for draft in self._root.glob(f"{_DRAFT}*"):
            shutil.rmtree(draft, ignore_errors=True)


def _opened(folder: Path) -> str:
    """The id of the process; those in use are the last to be removed."""
    os.utime(folder)
    return (folder / "process").read_text()
