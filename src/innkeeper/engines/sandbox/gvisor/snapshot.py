"""A snapshot of a gVisor sandbox: a folder with the image that runsc wrote, and a manifest.

The manifest says what the image fits: nothing else may restore it, because that would end in a crash inside,
or in an agent that sees another world than it did. All of it is written into a draft, which gets its final
name when it is on disk; so a folder with that name is whole.
"""

import asyncio
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from innkeeper.engines.sandbox.guest import VERSION
from innkeeper.engines.sandbox.gvisor import runsc
from innkeeper.engines.sandbox.gvisor.lent import Places
from innkeeper.engines.sandbox.rootfs import HOME
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxSpec

FORMAT = 2

_MANIFEST = "manifest.json"
_CPUINFO = Path("/proc/cpuinfo")
_FEATURES = ("flags", "Features")
_MIB = 1 << 20
_DISK_MARGIN_MIB = 64
_KNOWN_MAX = 1024
_Mark = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Key:
    """What a snapshot belongs to. `guest` is the version of the guest agent, which is in the image."""

    driver: str
    build: str
    processor: str
    guest: int


@dataclass(frozen=True, slots=True)
class Running:
    """A process that is in the image: `stream` is the number of its input, `open` says which of its streams
    had not ended."""

    id: int
    stream: int
    terminal: bool
    open: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """What is to be known to go on from it. The `marks` of its files are no other's. Its `layout` is where
    its memory lies in a sentry's file, once that was seen."""

    folder: Path
    processes: tuple[Running, ...]
    relays: tuple[int, ...]
    next_stream: int
    marks: tuple[_Mark, ...] = ()
    layout: Places = ()

    @property
    def places(self) -> Places:
        """Where its memory is going to lie, as far as that is known: it has as much as this."""
        return self.layout or ((0, (self.folder / "pages.img").stat().st_size),)


def processor() -> str:
    """The features of this machine's processor, as one word: code in memory may have been chosen by them."""
    for line in _CPUINFO.read_text().splitlines():
        name, _, features = line.partition(":")
        if name.strip() in _FEATURES:
            return hashlib.sha256(" ".join(sorted(features.split())).encode()).hexdigest()[:16]
    return "unknown"


def fitting(spec: SandboxSpec) -> dict[str, Any]:
    """What must be the same in the sandbox that goes on."""
    return {
        "network": spec.network.value,
        "mounts": [[mount.target, mount.writable] for mount in spec.mounts],
        "processes": spec.limits.processes,
        "open_files": spec.limits.open_files,
        "scratch_mib": spec.limits.scratch_mib,
        # Snapshots from before there were others do not name them.
        **({} if tuple(spec.folders) == (HOME,) else {"folders": list(spec.folders)}),
    }


@contextmanager
def draft(folder: Path, need_mib: float) -> Iterator[Path]:
    """A new folder beside `folder`, which is gone afterwards, unless `keep` gave it that name. Raises
    SandboxError, also where the disk has no room: runsc cuts an image short without a word."""
    if folder.exists():
        raise SandboxError("the folder for the snapshot exists already")
    free_mib = shutil.disk_usage(folder.parent).free / _MIB
    if free_mib < need_mib + _DISK_MARGIN_MIB:
        raise SandboxError(
            f"the disk has {free_mib:.0f} MiB left; a snapshot may take {need_mib + _DISK_MARGIN_MIB:.0f} MiB"
        )
    path = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.draft"
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Snapshots:
    """Writes snapshots of this driver, and reads them. One whose checksums were right, or were taken here, is
    not read again as long as its files are the same, wherever they are moved."""

    def __init__(self, driver: str) -> None:
        self._driver = driver
        self._key: Key | None = None
        self._known: dict[tuple[_Mark, ...], None] = {}

    async def key(self) -> Key:
        """What the snapshots of this driver on this machine fit. Raises SandboxError."""
        if self._key is None:
            self._key = Key(self._driver, await runsc.build(), processor(), VERSION)
        return self._key

    async def keep(self, image: Image, spec: SandboxSpec, folder: Path, durable: bool) -> None:
        """Give the draft that `image` is in its name. A `durable` one is on disk before; another is read by
        this server alone, and has no checksums."""
        key = await self.key()
        keeping = asyncio.create_task(asyncio.to_thread(_keep, image, key, spec, folder, durable))
        try:
            self._remember(await asyncio.shield(keeping))
        except asyncio.CancelledError:
            await asyncio.wait({keeping})  # the draft must not be removed while it is still being written
            await asyncio.to_thread(shutil.rmtree, folder, True)
            raise

    async def open(self, folder: Path, spec: SandboxSpec) -> Image:
        """Raises SandboxError that says why it is refused."""
        image = await asyncio.to_thread(self._open, folder, await self.key(), spec)
        self._remember(image.marks)
        return image

    def _open(self, folder: Path, key: Key, spec: SandboxSpec) -> Image:
        document = _read(folder)
        _refuse_others(document["key"], asdict(key), "does not fit this machine")
        _refuse_others(document["spec"], fitting(spec), "does not fit the sandbox")
        marks = self._verified(folder, document["files"], document["sha256"])
        processes = (
            Running(one["id"], one["stream"], one["terminal"], tuple(one["open"]))
            for one in document["processes"]
        )
        return Image(folder, tuple(processes), tuple(document["relays"]), document["next_stream"], marks)

    def _verified(
        self, folder: Path, files: Sequence[str], digests: Mapping[str, str] | None
    ) -> tuple[_Mark, ...]:
        marks = tuple(_mark(folder / name) for name in files)
        if marks in self._known:
            return marks
        if digests is None:
            raise SandboxError("the snapshot was made for the server that took it, which has ended since")
        for name, digest in digests.items():
            if _digest(folder / name) != digest:
                raise SandboxError(f"the snapshot is damaged: {name} is not what was written")
        return marks

    def _remember(self, marks: tuple[_Mark, ...]) -> None:
        self._known[marks] = None
        while len(self._known) > _KNOWN_MAX:
            self._known.pop(next(iter(self._known)), None)


def _keep(image: Image, key: Key, spec: SandboxSpec, folder: Path, durable: bool) -> tuple[_Mark, ...]:
    files = sorted(image.folder.iterdir())
    for path in files:
        path.chmod(0o600)
    document = {
        "format": FORMAT,
        "key": asdict(key),
        "spec": fitting(spec),
        "processes": [asdict(process) for process in image.processes],
        "relays": image.relays,
        "next_stream": image.next_stream,
        "files": [path.name for path in files],
        "sha256": _synced(files) if durable else None,
    }
    manifest = image.folder / _MANIFEST
    manifest.touch(0o600)
    manifest.write_text(json.dumps(document))
    for path in (manifest, image.folder) if durable else ():
        _sync(path)
    marks = tuple(map(_mark, files))
    image.folder.rename(folder)
    if durable:
        _sync(folder.parent)
    return marks


def _synced(files: Sequence[Path]) -> dict[str, str]:
    """Their checksums, once they are on disk; the disk and the processor work at the same time."""
    with ThreadPoolExecutor(2 * len(files)) as pool:
        synced = pool.map(_sync, files)
        digests = dict(zip((path.name for path in files), pool.map(_digest, files), strict=True))
        list(synced)
    return digests


def _read(folder: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((folder / _MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise SandboxError(f"there is no snapshot in {folder.name!r}") from None
    except (OSError, ValueError) as error:
        raise SandboxError(f"the snapshot is damaged: {_MANIFEST} cannot be read") from error
    if document.get("format") != FORMAT:
        raise SandboxError(f"the snapshot is of format {document.get('format')!r}; {FORMAT} is needed")
    return document


def _refuse_others(was: Mapping[str, Any], now: Mapping[str, Any], reason: str) -> None:
    for name, value in now.items():
        if was.get(name) != value:
            raise SandboxError(f"the snapshot {reason}: {name} was {was.get(name)!r}, and is {value!r} here")


def _mark(path: Path) -> _Mark:
    """Changes when the file does."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise SandboxError(f"the snapshot is damaged: {path.name} is missing") from None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
