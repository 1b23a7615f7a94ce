"""A folder of this machine that is filled from a sandbox, whose word about paths is not believed.

Every folder on the way to a file is opened by itself, and never through a link, so nothing is written
outside, whatever the archive says and whatever links lie there. Links are made last, and only those that stay
inside.
"""

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from innkeeper.cli.failure import CommandFailed

_PIECE_BYTES = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class FolderTarget:
    """Made if it is not there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def unpack(self, archive: Iterator[bytes]) -> list[str]:
        """A tar's files, folders and links, those that are there already replaced. The names of what was left
        out. Raises OSError, CommandFailed."""
        self._root.mkdir(exist_ok=True)
        left_out: list[str] = []
        links: list[tarfile.TarInfo] = []
        try:
            with tarfile.open(fileobj=_Stream(archive), mode="r|") as members:
                for member in members:
                    if member.issym():
                        links.append(member)
                    elif not self._place(members, member):
                        left_out.append(member.name)
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise CommandFailed(f"what came from the sandbox is no archive: {error}") from error
        for _ in archive:  # what is behind its end; who made it fails only now
            continue
        left_out += [link.name for link in links if not self._link(link)]
        return left_out

    def _place(self, members: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
        """Whether it may be there."""
        parts = _inside(member.name)
        if parts is None:
            return False
        if member.isdir():
            with self._opened(parts):
                return True
        # One with holes could be of any size.
        if not parts or member.issparse() or not (member.isfile() or member.islnk()):
            return False
        with self._opened(parts[:-1]) as folder:
            _clear(parts[-1], folder)
            if member.islnk():
                return self._link_hard(member, parts[-1], folder)
            fd = os.open(parts[-1], _NEW_FILE, 0o600, dir_fd=folder)
            with os.fdopen(fd, "wb") as file:
                content = members.extractfile(member)
                while content and (piece := content.read(_PIECE_BYTES)):
                    file.write(piece)
                os.fchmod(fd, 0o755 if member.mode & 0o100 else 0o644)
            os.utime(parts[-1], (member.mtime, member.mtime), dir_fd=folder, follow_symlinks=False)
        return True

    def _link_hard(self, member: tarfile.TarInfo, name: str, folder: int) -> bool:
        """Another name of a file that came before: links come last, so it can be none."""
        parts = _inside(member.linkname)
        if not parts:
            return False
        with self._opened(parts[:-1]) as beside:
            os.link(parts[-1], name, src_dir_fd=beside, dst_dir_fd=folder, follow_symlinks=False)
        return True

    def _link(self, link: tarfile.TarInfo) -> bool:
        parts = _inside(link.name)
        if not parts or not _stays(link.linkname, len(parts) - 1):
            return False
        with self._opened(parts[:-1]) as folder:
            _clear(parts[-1], folder)
            os.symlink(link.linkname, parts[-1], dir_fd=folder)
        return True

    @contextlib.contextmanager
    def _opened(self, parts: tuple[str, ...]) -> Iterator[int]:
        """The folder below ours, made if it is not there. Raises OSError where a link or a file is on the
        way."""
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=folder)
                below = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder
        finally:
            os.close(folder)


class _Stream(io.RawIOBase):
    """Bytes that come in parts, as a file to read."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (part := next(self._parts, b"")):
            self._rest += part
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def _inside(name: str) -> tuple[str, ...] | None:
    """None for a path that is not below ours."""
    path = PurePosixPath(name)
    return None if path.is_absolute() or ".." in path.parts or "\0" in name else path.parts


def _stays(target: str, depth: int) -> bool:
    """Whether a link so many folders below ours leads to what is in it: up first, then down, for `..` after
    another link leads one knows not where."""
    path = PurePosixPath(target)
    ups = next((number for number, part in enumerate(path.parts) if part != ".."), len(path.parts))
    return not path.is_absolute() and ups <= depth and ".." not in path.parts[ups:]


def _clear(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
