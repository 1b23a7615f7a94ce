"""Code archives made into prepared, read-only folders that a sandbox mounts at `/var/task`.

A build is kept under the hash of what went into it, is made in a folder beside and put in place by one
rename: it is there whole or not at all. Building runs no code of the archive or of its packages (but see
`Uv`), so it is bounded in size and time, yet not sandboxed.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

from innkeeper.services.builder.apt import Apt
from innkeeper.services.builder.dependencies import (
    PACKAGES_FOLDER,
    misfits,
    overlay,
    remove,
    vendored_records,
)
from innkeeper.services.builder.folder import folders, make_readable, size
from innkeeper.services.builder.interpreters import Interpreter, Interpreters
from innkeeper.services.builder.launch import plan_launch
from innkeeper.services.builder.layers import Layers
from innkeeper.services.builder.model import (
    DENO_FOLDER,
    TASK_FOLDER,
    Build,
    BuildFailed,
    BuildLimits,
    Launch,
    Layer,
)
from innkeeper.services.builder.npm import Npm, Scripts
from innkeeper.services.builder.program import run
from innkeeper.services.builder.requirements import read_requirements
from innkeeper.services.builder.thread import in_thread
from innkeeper.services.builder.unpack import unpack
from innkeeper.services.builder.uv import Uv

_COMPILE_TIMEOUT_SECONDS = 120.0
_TESTS = rf"/{re.escape(PACKAGES_FOLDER)}/.*/tests?/"
_DENO_HERE = {"start.js": ""}
_DENO_FETCHED = {"start.py": "", "requirements.txt": "deno==2.*"}


class Builder:
    """Builds below `root`, which belongs to one server process.

    `root/builds/DIGEST/code` is what is mounted, `root/builds/DIGEST/notes.json` what to tell the developer,
    `root/unfinished` what a crash leaves, and `root/cache` uv's cache.
    """

    def __init__(
        self, root: Path, limits: BuildLimits, interpreters: Interpreters, source_builds: bool = False
    ) -> None:
        self._builds = root / "builds"
        self._unfinished = root / "unfinished"
        self._limits = limits
        self._interpreters = interpreters
        self._cache = root / "cache"
        self._uv = Uv(self._cache, limits.timeout_seconds, source_builds)
        self._layers = Layers(root, limits)
        self._apt = Apt(self._cache / "apt", limits.timeout_seconds)
        self._npm = Npm(self._cache / "npm", limits.timeout_seconds)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(limits.concurrent_builds)

    async def sweep(self) -> None:
        """Remove what an earlier server left unfinished; call before the first build."""
        await in_thread(shutil.rmtree, self._unfinished, ignore_errors=True)

    async def build(self, archive: Path, runtime: str, entry_point: Sequence[str]) -> Build:
        """The folder for a zip file, made now or found from before. Raises BuildFailed."""
        interpreter = await self._interpreters.find(runtime)
        digest = await in_thread(_digest, archive, interpreter, self._limits)
        lock = self._locks.setdefault(digest, asyncio.Lock())
        async with lock:
            if not await in_thread((self._builds / digest).is_dir):
                async with self._places:
                    await self._make(digest, archive, interpreter)
            return await in_thread(self._describe, digest, interpreter, entry_point)

    async def prepare(self, files: Mapping[str, str], runtime: str, entry_point: str) -> Build:
        """The build of a few files of our own, by their names: a `requirements.txt` says which packages."""
        with _packed(files) as archive:
            return await self.build(archive, runtime, (entry_point,))

    async def name(self, files: Mapping[str, str], runtime: str) -> str:
        """The digest of what `prepare` gives. Raises BuildFailed."""
        interpreter = await self._interpreters.find(runtime)
        with _packed(files) as archive:
            return await in_thread(_digest, archive, interpreter, self._limits)

    async def deno(self) -> Build:
        """Deno 2: as it is installed here or else, where that is not ruled out, as it comes as a package of
        Python. To be mounted at `DENO_FOLDER`. Raises BuildFailed."""
        try:
            return await self.prepare(_DENO_HERE, "DENO_2", "start.js")
        except BuildFailed:
            if not self._interpreters.may_fetch_deno:
                raise
        build = await self.prepare(_DENO_FETCHED, "PYTHON_3_12", "start.py")
        launch = Launch((f"{DENO_FOLDER}/deno",), (), {})
        return replace(build, path=build.path / PACKAGES_FOLDER / "bin", launch=launch)

    async def deno_name(self) -> str:
        """The digest of what `deno` gives, or would. Raises BuildFailed."""
        try:
            return await self.name(_DENO_HERE, "DENO_2")
        except BuildFailed:
            return await self.name(_DENO_FETCHED, "PYTHON_3_12")

    async def packages(self, build: Build) -> Layer:
        """The Python packages of a `prepare`d build, as they lie in it."""
        return await in_thread(_installed, build.path)

    async def npm(self, packages: Sequence[str], kind: str = "", scripts: Scripts | None = None) -> Layer:
        """Packages of npm and what they need, in a `node_modules`. With `scripts` theirs are run, and `kind`
        names how: what comes of it may depend on that. Raises BuildFailed."""
        asked = await self._npm_asked(packages, kind)
        return await self._layers.find(asked, partial(self._npm.install, packages, scripts))

    async def apt(self, packages: Sequence[str]) -> Layer:
        """Packages of this host's distribution that it has not itself, and what they need, as a tree to lay
        over its own. Raises BuildFailed."""
        return await self._layers.find(_apt_asked(packages), partial(self._apt.install, packages))

    async def layer_names(self, npm: Sequence[str], kind: str, apt: Sequence[str]) -> set[str]:
        """The names of these layers, as `prune` takes them. Raises BuildFailed."""
        asked = [await self._npm_asked(npm, kind)] if npm else []
        return set(map(self._layers.name, [*asked, *([_apt_asked(apt)] if apt else [])]))

    async def find(self, digest: str, runtime: str, entry_point: Sequence[str]) -> Build | None:
        """An earlier build, without its archive; None when it is gone or its interpreter has changed."""
        interpreter = await self._interpreters.find(runtime)
        present = await in_thread((self._builds / digest).is_dir)
        if not present or not digest.endswith(f"-{interpreter.tag}"):
            return None
        return await in_thread(self._describe, digest, interpreter, entry_point)

    async def prune(self, keep: set[str], unused_seconds: float = 3600.0) -> int:
        """Remove the builds and layers that are not in `keep`, nor were asked for lately; their bytes."""
        removed = 0
        for folder in await self._made():
            used = (await in_thread(folder.stat)).st_mtime
            if folder.name not in keep and used + unused_seconds <= time.time():
                removed += await in_thread(size, folder)
                await in_thread(self._discard, folder)
        return removed

    async def forget_fetched(self) -> None:
        """Remove the cache that packages came through, unless something is being built: as long as it is
        there, the files of builds that were removed are, too."""
        if not await in_thread(folders, self._unfinished):
            await in_thread(shutil.rmtree, self._cache, ignore_errors=True)

    async def is_empty(self) -> bool:
        """Whether nothing was made yet."""
        return not await self._made()

    async def _made(self) -> list[Path]:
        return [*await in_thread(folders, self._builds), *await in_thread(folders, self._layers.root)]

    async def _npm_asked(self, packages: Sequence[str], kind: str) -> tuple[str, ...]:
        node = await self._interpreters.find("NODE_22")
        return (f"npm{kind}", node.tag, *sorted(packages))

    def _describe(self, digest: str, interpreter: Interpreter, entry_point: Sequence[str]) -> Build:
        folder = self._builds / digest
        os.utime(folder)
        code = folder / "code"
        launch, notes = plan_launch(code, entry_point, interpreter)
        kept = json.loads((folder / "notes.json").read_text("utf-8"))
        return Build(digest, code, launch, (*interpreter.notes, *kept, *notes))

    async def _make(self, digest: str, archive: Path, interpreter: Interpreter) -> None:
        workspace = await in_thread(self._workspace)
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                notes = await self._fill(workspace, archive, interpreter)
            await in_thread(self._keep, workspace, digest, notes)
        except TimeoutError as error:
            raise BuildFailed(f"the build took longer than {self._limits.timeout_seconds:g} s") from error
        finally:
            await in_thread(shutil.rmtree, workspace, ignore_errors=True)

    async def _fill(self, workspace: Path, archive: Path, interpreter: Interpreter) -> list[str]:
        code = workspace / "build" / "code"
        code.parent.mkdir()
        await in_thread(unpack, archive, code, self._limits)
        if interpreter.language != "python":
            return []
        notes = await self._add_packages(workspace, code, interpreter)
        total = await in_thread(size, code)
        if total > self._limits.unpacked_bytes:
            most = self._limits.unpacked_bytes
            raise BuildFailed(f"with its packages the code has {total} bytes; {most} are allowed")
        await _compile(code, interpreter)
        return notes

    async def _add_packages(self, workspace: Path, code: Path, interpreter: Interpreter) -> list[str]:
        if records := await in_thread(vendored_records, code):
            return await self._replace_misfits(workspace, code, records, interpreter)
        wanted = await in_thread(read_requirements, code)
        if wanted is None or not wanted.lines:
            return []
        if (code / PACKAGES_FOLDER).exists():
            raise BuildFailed(f"the archive may not have a {PACKAGES_FOLDER!r} of its own")
        fresh = await self._install(workspace, wanted.lines, interpreter, dependencies=True)
        fresh.rename(code / PACKAGES_FOLDER)
        return [f"installed the packages of {wanted.source}"]

    async def _replace_misfits(
        self, workspace: Path, code: Path, records: list[Path], interpreter: Interpreter
    ) -> list[str]:
        packages = await in_thread(misfits, records, interpreter)
        if not packages:
            return []
        pins = [package.pin for package in packages]
        fresh = await self._install(workspace, pins, interpreter, dependencies=False)
        for package in packages:
            await in_thread(remove, package, code)
        await in_thread(overlay, fresh, code)
        return [f"packed for another platform or Python, replaced for {interpreter.tag}: {', '.join(pins)}"]

    async def _install(
        self, workspace: Path, lines: Sequence[str], interpreter: Interpreter, *, dependencies: bool
    ) -> Path:
        """Into a folder of its own: uv removes what the records in its target name, and those of the archive
        may name anything."""
        listed, fresh = workspace / "requirements.txt", workspace / "packages"
        listed.write_text("\n".join(lines), "utf-8")
        fresh.mkdir()
        await self._uv.install(listed, fresh, interpreter, dependencies=dependencies)
        return fresh

    def _workspace(self) -> Path:
        self._unfinished.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._unfinished))

    def _keep(self, workspace: Path, digest: str, notes: list[str]) -> None:
        folder = workspace / "build"
        (folder / "notes.json").write_text(json.dumps(notes), "utf-8")
        make_readable(folder)
        os.sync()  # a power cut after the rename must not leave empty files behind a finished build
        self._builds.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(self._builds / digest)
        except OSError:
            if not (self._builds / digest).is_dir():
                raise  # it is there when another builder of this folder was faster

    def _discard(self, folder: Path) -> None:
        """Out of the way first: a removal cut short must not leave half a build."""
        away = self._workspace() / folder.name
        folder.rename(away)
        shutil.rmtree(away.parent, ignore_errors=True)


@contextlib.contextmanager
def _packed(files: Mapping[str, str]) -> Iterator[Path]:
    """An archive of them."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "files.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for name, text in files.items():
                packed.writestr(zipfile.ZipInfo(name), text)  # no date in it: the same bytes every time
        yield archive


def _installed(code: Path) -> Layer:
    records = sorted(path.stem for path in (code / PACKAGES_FOLDER).glob("*.dist-info"))
    resolved = {name: version for name, _, version in (record.rpartition("-") for record in records)}
    return Layer(code, size(code), resolved)


def _apt_asked(packages: Sequence[str]) -> tuple[str, ...]:
    return ("apt", platform.freedesktop_os_release().get("VERSION_ID", ""), *sorted(packages))


async def _compile(code: Path, interpreter: Interpreter) -> None:
    """Byte-compile, as far as it goes, because a read-only folder cannot be compiled later; but not what
    packages bring along to test themselves, a third of them all. File names in tracebacks are those inside
    the sandbox."""
    options = ("-q", "-j", "2", "-x", _TESTS, "-s", str(code), "-p", TASK_FOLDER, str(code))
    argv = (interpreter.path, "-I", "-m", "compileall", *options)
    try:
        await run(argv, environment={}, timeout_seconds=_COMPILE_TIMEOUT_SECONDS)
    except TimeoutError:
        return


def _digest(archive: Path, interpreter: Interpreter, limits: BuildLimits) -> str:
    """The archive's SHA-256 and the interpreter's tag."""
    size = archive.stat().st_size
    if size > limits.archive_bytes:
        raise BuildFailed(f"the code archive has {size} bytes; {limits.archive_bytes} are allowed")
    with archive.open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}-{interpreter.tag}"
