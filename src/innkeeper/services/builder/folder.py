"""Folders that are made once and then mounted read-only."""

from pathlib import Path


def folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def size(folder: Path) -> int:
    """In bytes."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def make_readable(folder: Path) -> None:
    """Whoever the sandbox runs as may read and enter, whatever the server's umask; nobody else writes. Links
    are left alone: they may lead anywhere."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        enter = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if enter else 0o644)
