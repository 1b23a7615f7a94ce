"""Unpacking a code archive that nobody vouches for.

Nothing is written outside the target folder, no link or device is made, and no more is written than the
limits allow, whatever the archive says of itself.
"""

import errno
import io
import os
import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from innkeeper.services.builder.model import BuildFailed, BuildLimits

_CHUNK = 1 << 20
_RATIO_FLOOR_BYTES = 50_000_000
_DIRECTORY_BYTES_PER_ENTRY = 160  # the fixed 46, and a name and extra fields of usual length
_DEPTH_MAX = 64  # folders in folders; nobody's code is deeper, and who walks through it may go down each
_ENCRYPTED = 0x1
_UNIX = 3
_SHAPE_ERRORS = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def unpack(archive: Path, target: Path, limits: BuildLimits) -> None:
    """Unpack a zip into `target`, which must not exist. Blocking. Raises BuildFailed.

    Of several entries with one name the last counts, as with every unzip: the AWS toolkits append a project's
    own files after its packages and rely on it.
    """
    try:
        with _Bounded(archive, limits) as file, zipfile.ZipFile(file) as source:
            entries = _entries(source, archive, limits)
            target.mkdir(mode=0o755)
            _write(source, entries, target, limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise BuildFailed(f"the code archive is not a whole zip file: {error}") from error


class _Bounded(io.FileIO):
    """Refuses to read a table of contents that would take too much memory once parsed."""

    def __init__(self, path: Path, limits: BuildLimits) -> None:
        super().__init__(path)
        self._most = max(limits.entries * _DIRECTORY_BYTES_PER_ENTRY, _CHUNK)
        self._entries = limits.entries

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._most:
            raise _too_many(self._entries)
        return super().read(-1 if size is None else size) or b""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("an entry lies before the beginning of the file")
        return super().seek(offset, whence)


def _entries(
    source: zipfile.ZipFile, archive: Path, limits: BuildLimits
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    infos = source.infolist()
    if len(infos) > limits.entries:
        raise _too_many(limits.entries)
    declared = sum(info.file_size for info in infos)
    if declared > limits.unpacked_bytes:
        raise _too_large(limits)
    if declared > max(_RATIO_FLOOR_BYTES, archive.stat().st_size * limits.ratio):
        raise BuildFailed(f"the code archive inflates to more than {limits.ratio} times its own size")
    entries = {}
    places: set[PurePosixPath] = set()
    for info in infos:
        _check_kind(info)
        name = _safe_name(info)
        entries[name] = info
        places.update((name, *name.parents))
        if len(places) > limits.entries + 1:  # the last is the folder of them all
            raise _too_many(limits.entries)
    entries.pop(PurePosixPath(), None)
    return entries


def _safe_name(info: zipfile.ZipInfo) -> PurePosixPath:
    name = info.orig_filename
    if "\0" in name or "\\" in name:
        raise BuildFailed(f"{name[:200]!r}: names in the archive must use '/' and no NUL")
    path = PurePosixPath(name)
    if path.is_absolute() or re.match(r"[A-Za-z]:", name) or ".." in path.parts:
        raise BuildFailed(f"{name[:200]!r} leads out of the archive; names must be relative and without '..'")
    if len(path.parts) > _DEPTH_MAX:
        raise BuildFailed(f"{name[:200]!r} is {len(path.parts)} folders deep; {_DEPTH_MAX} are allowed")
    return path


def _check_kind(info: zipfile.ZipInfo) -> None:
    name = info.filename[:200]
    if info.flag_bits & _ENCRYPTED:
        raise BuildFailed(f"{name!r} is encrypted; pack the archive without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BuildFailed(f"{name!r} is compressed in a way other than 'stored' and 'deflated'")
    kind = stat.S_IFMT(_mode(info))
    if kind == stat.S_IFLNK:
        raise BuildFailed(f"{name!r} is a symbolic link; pack what it points to (`zip -r` without `-y`)")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BuildFailed(f"{name!r} is neither a file nor a folder")


def _mode(info: zipfile.ZipInfo) -> int:
    return info.external_attr >> 16 if info.create_system == _UNIX else 0


def _write(
    source: zipfile.ZipFile, entries: dict[PurePosixPath, zipfile.ZipInfo], target: Path, limits: BuildLimits
) -> None:
    left = limits.unpacked_bytes
    for name, info in entries.items():
        path = target / name
        try:
            if info.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            left -= _write_file(source, info, path, left)
        except OSError as error:
            if error.errno not in _SHAPE_ERRORS:
                raise
            raise BuildFailed(f"{info.filename[:200]!r} cannot be unpacked: {error.strerror}") from error
        if left < 0:
            raise _too_large(limits)


def _write_file(source: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, most: int) -> int:
    """Gives the bytes written: more than `most` when it stopped for that reason."""
    mode = 0o755 if _mode(info) & 0o111 else 0o644
    written = 0
    with source.open(info) as packed, path.open("xb") as file:
        os.fchmod(file.fileno(), mode)
        while written <= most and (chunk := packed.read(_CHUNK)):
            written += file.write(chunk)
    return written


def _too_many(entries: int) -> BuildFailed:
    return BuildFailed(f"the code archive has more than {entries} entries")


def _too_large(limits: BuildLimits) -> BuildFailed:
    return BuildFailed(f"the code archive is larger than {limits.unpacked_bytes} bytes unpacked")
