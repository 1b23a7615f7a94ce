"""Scripts that packages of npm run when they are installed: strangers' code, so run in a sandbox.

They get a copy of the packages, on the ground of the template `base`, and what they make of it is carried
back as an archive that is not believed: nothing of it lands outside of its folder.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from innkeeper.engines.images.image import ImageError, ImageLimits
from innkeeper.engines.images.tree import Tree
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Limits,
    Mount,
    Network,
    Process,
    SandboxDriver,
    SandboxError,
    SandboxSpec,
)
from innkeeper.engines.sandbox.trust import Trust
from innkeeper.kernel.errors import InnkeeperError
from innkeeper.kernel.ids import random_suffix
from innkeeper.services.builder.model import BuildFailed

_GIVEN = "/opt/innkeeper-npm"
_ID_LENGTH = 20
_CHUNK_BYTES = 1 << 20
_SAID_BYTES = 16_000
_MODULES = "node_modules"
_NO_PROGRAM = 127
_RUN = f"""
set -e
mkdir /tmp/npm
cp -R {_GIVEN}/. /tmp/npm
cd /tmp/npm
npm rebuild --foreground-scripts --ignore-scripts=false --no-update-notifier --loglevel=error >&2
exec tar --create --file=- --directory={_MODULES} .
"""


@dataclass(frozen=True, slots=True)
class InstallScripts:
    """`shared_kernel` is whether strangers' code may run where only namespaces keep it in; `size_bytes` is
    what the packages may come to, and `seconds` how long all of their scripts may take."""

    driver: SandboxDriver
    limits: Limits
    shared_kernel: bool
    size_bytes: int
    seconds: float

    async def run(self, ground: SandboxSpec, network: str, folder: Path) -> Sequence[str]:
        """Those of the packages in `folder`, whose `node_modules` is then what they made of it. What they
        said. Raises BuildFailed when one fails."""
        spec = replace(
            ground,
            id=f"npm-{random_suffix(_ID_LENGTH)}",
            mounts=[*ground.mounts, Mount(folder, _GIVEN)],
            limits=self.limits,
            network=Network(network),
        )
        archive = folder.with_name("scripts.tar")
        try:
            await Trust(self.driver, self.shared_kernel).check()
            async with asyncio.timeout(self.seconds):
                said = await self._made(spec, archive)
            await asyncio.to_thread(self._unpack, archive, folder / _MODULES)
        except (SandboxError, ImageError, OSError) as error:
            why = str(error) or f"they took more than {self.seconds:g} s"
            raise BuildFailed(f"the install scripts of npm packages could not be run: {why}") from error
        except InnkeeperError as error:
            raise BuildFailed(error.message) from error
        finally:
            await asyncio.to_thread(archive.unlink, missing_ok=True)
        return ["install scripts of npm packages were run", *said.splitlines()]

    async def _made(self, spec: SandboxSpec, archive: Path) -> str:
        sandbox = await self.driver.create(spec)
        try:
            process = await sandbox.exec(Command(("/bin/sh", "-c", _RUN)))
            process.stdin.close()
            with contextlib.closing(process), await asyncio.to_thread(archive.open, "wb") as file:
                said, _ = await asyncio.gather(_heard(process.stderr), self._received(process, file))
                code = await process.wait()
        finally:
            await asyncio.shield(sandbox.kill())
        if code == _NO_PROGRAM:
            said = f"{said}\nthey take npm in /usr of this server"
        if code:
            raise BuildFailed(f"the install scripts of npm packages ended with {code}:\n{said}")
        return said

    async def _received(self, process: Process, file: BinaryIO) -> None:
        size = 0
        while chunk := await process.stdout.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > self.size_bytes:
                raise SandboxError(f"they make the packages larger than {self.size_bytes} bytes")
            await asyncio.to_thread(file.write, chunk)

    def _unpack(self, archive: Path, modules: Path) -> None:
        shutil.rmtree(modules)
        modules.mkdir()  # a folder and no link, whatever is in the archive
        with archive.open("rb") as file:
            Tree(modules, ImageLimits(unpacked_bytes=self.size_bytes)).apply(file)


async def _heard(stream: asyncio.StreamReader) -> str:
    """The end of it."""
    kept = b""
    while chunk := await stream.read(_CHUNK_BYTES):
        kept = (kept + chunk)[-_SAID_BYTES:]
    return kept.decode(errors="replace").strip()
