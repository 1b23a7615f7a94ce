"""A folder that layers are unpacked into, one over the other.

Whatever a layer says, nothing outside of the folder is written, read or removed: links are followed as they
would be inside, with the folder as `/`. Devices, pipes and sockets are left out; nothing keeps set-user-id.
https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

import io
import os
import shutil
import stat
import tarfile
from collections import deque
from pathlib import Path
from typing import IO, Any, cast

from innkeeper.engines.images.image import ImageError, ImageLimits

_LINKS_MAX = 40
_DEPTH_MAX = 256
_CHUNK = 1 << 20
_HEADERS_BYTES = 1 << 20  # what the headers of one entry may take, and the padding before them
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


class Tree:
    def __init__(self, root: Path, limits: ImageLimits) -> None:
        self._root = root
        self._left_bytes = limits.unpacked_bytes
        self._left_entries = limits.entries
        self._limits = limits
        self.left_out = 0
        """Entries that were."""

    @property
    def size_bytes(self) -> int:
        return self._limits.unpacked_bytes - self._left_bytes

    def has(self, *parts: str) -> bool:
        return bool(_mode(self._folder(list(parts[:-1])) / parts[-1]))

    def apply(self, layer: IO[bytes]) -> None:
        """Lay a layer, a tar file, over what is there. Raises ImageError."""
        stream = _Rationed(layer, 2 * self._limits.unpacked_bytes)
        fresh = _Fresh(self._root)
        try:
            with tarfile.open(fileobj=io.BufferedReader(stream), mode="r|") as tar:
                stream.allow(_HEADERS_BYTES)
                while member := tar.next():
                    self._count()
                    stream.allow(member.size + _HEADERS_BYTES)
                    self._put(tar, member, fresh)
                    cast(Any, tar).members.clear()  # or they would all be kept
        except tarfile.TarError as error:
            raise ImageError(f"a layer is no whole tar file: {error}") from error
        except (OSError, ValueError) as error:
            raise ImageError(f"a layer cannot be unpacked: {error}") from error

    def _count(self) -> None:
        self._left_entries -= 1
        if self._left_entries < 0:
            raise ImageError(f"the image has more than {self._limits.entries} entries")

    def _put(self, tar: tarfile.TarFile, member: tarfile.TarInfo, fresh: "_Fresh") -> None:
        *folders, name = [part for part in member.name.split("/") if part not in ("", ".")] or [""]
        if ".." in (*folders, name) or len(folders) > _DEPTH_MAX:
            raise ImageError(f"{member.name[:200]!r} is no path within an image")
        if not name:
            return
        parent = self._folder(folders)
        if name == _OPAQUE:
            for path in list(parent.iterdir()):
                fresh.remove_older(path)
        elif name.startswith(_WHITEOUT):
            if (hidden := name.removeprefix(_WHITEOUT)) not in ("", ".", ".."):
                fresh.remove_older(parent / hidden)
        elif member.isreg() or member.isdir() or member.issym() or member.islnk():
            self._make(tar, member, parent / name)
            fresh.add(parent / name)
        else:
            self.left_out += 1

    def _make(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        source = self._linked(member) if member.islnk() else None
        if path == source:
            return
        if not (member.isdir() and stat.S_ISDIR(_mode(path))):
            _remove(path)
        if source is not None:
            os.link(source, path, follow_symlinks=False)
        elif member.issym():
            path.symlink_to(member.linkname)
        elif member.isdir():
            path.mkdir(mode=0o755, exist_ok=True)
        else:
            self._write(tar, member, path)

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        self._left_bytes -= member.size
        if self._left_bytes < 0:
            raise ImageError(f"the image unpacks to more than {self._limits.unpacked_bytes} bytes")
        if member.issparse():
            raise ImageError(f"{member.name[:200]!r} is a sparse file, which is not unpacked here")
        packed = tar.extractfile(member)
        assert packed is not None  # it is a regular file
        with path.open("xb") as file:
            os.fchmod(file.fileno(), 0o755 if member.mode & 0o111 else 0o644)
            shutil.copyfileobj(packed, file, _CHUNK)
        moment = max(0.0, min(float(member.mtime), 2.0**32))
        os.utime(path, (moment, moment))

    def _linked(self, member: tarfile.TarInfo) -> Path:
        *folders, name = [part for part in member.linkname.split("/") if part not in ("", ".")] or [""]
        if ".." in (*folders, name):
            raise ImageError(f"{member.name[:200]!r} is a link to no path within an image")
        source = self._folder(folders) / name
        if not stat.S_ISREG(_mode(source)) and not stat.S_ISLNK(_mode(source)):
            raise ImageError(f"{member.name[:200]!r} is a link to what is not there")
        return source

    def _folder(self, parts: list[str]) -> Path:
        """Where these folders lie, made if need be. No part of what is given is a link."""
        waiting, here, links = deque(parts), self._root, 0
        while waiting:
            part = waiting.popleft()
            if part == "..":
                here = here if here == self._root else here.parent
                continue
            path = here / part
            mode = _mode(path)
            if stat.S_ISLNK(mode):
                links += 1
                target = path.readlink()
                here = self._root if target.is_absolute() else here
                waiting.extendleft(reversed([word for word in target.parts if word not in ("/", "//")]))
            elif mode and not stat.S_ISDIR(mode):
                raise ImageError("the image has a file where it has a folder, too")
            else:
                path.mkdir(mode=0o755, exist_ok=True)
                here = path
            if links > _LINKS_MAX or len(here.parts) - len(self._root.parts) + len(waiting) > 2 * _DEPTH_MAX:
                raise ImageError("the image has links that lead in circles")
        return here


class _Fresh:
    """What a layer has brought so far, which its own whiteouts spare."""

    def __init__(self, root: Path) -> None:
        self._brought: set[str] = set()
        self._above: set[str] = {str(root)}  # the folders in which that lies

    def add(self, path: Path) -> None:
        self._brought.add(str(path))
        for folder in path.parents:
            if str(folder) in self._above:
                return
            self._above.add(str(folder))

    def remove_older(self, path: Path) -> None:
        """Of a folder that is older, what is new in it stays."""
        if str(path) in self._brought:
            return
        if str(path) in self._above and stat.S_ISDIR(_mode(path)):
            for below in list(path.iterdir()):
                self.remove_older(below)
        else:
            _remove(path)


class _Rationed(io.RawIOBase):
    """Gives no more bytes than were allowed since, and no more than `most` in all: no header can fill the
    memory, and no padding last for ever."""

    def __init__(self, source: IO[bytes], most: int) -> None:
        self._source = source
        self._most = most
        self._left = _HEADERS_BYTES

    def allow(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        self._left -= len(data)
        self._most -= len(data)
        if self._left < 0 or self._most < 0:
            raise ImageError("a layer has headers that are larger than headers are")
        buffer[: len(data)] = data
        return len(data)


def _mode(path: Path) -> int:
    """0 when there is nothing."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> None:
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        shutil.rmtree(path)
    elif mode:
        path.unlink()
