"""A folder, or one Python file, as a zip: the same bytes for the same contents, whenever it is made."""

import os
import stat
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from innkeeper.cli.failure import CommandFailed

EXCLUDED = (
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    "*.pyc",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".innkeeper",
    ".DS_Store",
)
REQUIREMENTS = "requirements.txt"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold


def pack(source: Path, target: IO[bytes]) -> list[str]:
    """Write the zip; gives the names in it. A lone file takes the `requirements.txt` beside it along."""
    names = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path, name in _members(source):
            entry = zipfile.ZipInfo(name, _EPOCH)
            executable = path.stat().st_mode & stat.S_IXUSR
            entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as content, archive.open(entry, "w") as member:
                while chunk := content.read(1 << 20):
                    member.write(chunk)
            names.append(name)
    return names


def _members(source: Path) -> list[tuple[Path, str]]:
    if source.is_file():
        beside = source.parent / REQUIREMENTS
        return [(path, path.name) for path in (source, beside) if path.is_file()]
    return sorted(_walk(source), key=lambda member: member[1])


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _excluded(name)]
        for name in folders:
            if (Path(root) / name).is_symlink():
                raise CommandFailed(f"{Path(root) / name} is a link to a folder; put the folder in its place")
        for name in files:
            path = Path(root) / name
            if _excluded(name):
                continue
            if not path.is_file():
                raise CommandFailed(f"{path} is no regular file, nor a link to one; remove it")
            yield path, path.relative_to(folder).as_posix()


def _excluded(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in EXCLUDED)
