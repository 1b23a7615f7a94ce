"""What a sandbox hands over fills one folder here, and touches nothing beside it."""

import io
import tarfile
from pathlib import Path

import pytest

from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.folder_target import FolderTarget


def archive(*members: tuple[str, bytes, str]) -> bytes:
    """Of names, kinds (as tar has them) and contents or, of links, where they lead."""
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as packed:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, 0o6777, 1_000_000_000
            data = content.encode() if kind == tarfile.REGTYPE else b""
            info.size, info.linkname = len(data), "" if data else content
            packed.addfile(info, io.BytesIO(data))
    return kept.getvalue()


def test_files_links_and_folders_arrive(tmp_path: Path) -> None:
    target = tmp_path / "target"
    data = archive(
        (".", tarfile.DIRTYPE, ""),
        ("deep/link", tarfile.SYMTYPE, "../deep/./file"),
        ("deep/file", tarfile.REGTYPE, "content"),
        ("deep/same", tarfile.LNKTYPE, "deep/file"),
        ("empty", tarfile.DIRTYPE, ""),
    )
    assert FolderTarget(target).unpack(iter([data[:100], data[100:]])) == []
    assert (target / "deep/link").read_text() == (target / "deep/same").read_text() == "content"
    found = (target / "deep/file").stat()
    assert (found.st_mode & 0o7777, found.st_mtime) == (0o755, 1_000_000_000)
    assert (target / "empty").is_dir()


def test_nothing_of_it_lands_elsewhere(tmp_path: Path) -> None:
    target = tmp_path / "target"
    links = ["/etc", "..", "sub/../../x", "in/../..", "../target/../.."]
    data = archive(
        ("../beside", tarfile.REGTYPE, "x"),
        ("/tmp/innkeeper-beside", tarfile.REGTYPE, "x"),
        ("in/../../beside", tarfile.REGTYPE, "x"),
        (".", tarfile.REGTYPE, "x"),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("device", tarfile.CHRTYPE, ""),
        ("out", tarfile.LNKTYPE, "../beside"),
        *((f"link{number}", tarfile.SYMTYPE, link) for number, link in enumerate(links)),
        ("in/up", tarfile.SYMTYPE, "../.."),
    )
    left_out = FolderTarget(target).unpack(iter([data]))
    assert len(left_out) == len(links) + 8
    assert not [*target.iterdir()]
    assert [*tmp_path.iterdir()] == [target]


def test_links_that_are_here_already_are_not_followed(tmp_path: Path) -> None:
    target, beside = tmp_path / "target", tmp_path / "beside"
    for folder in (target, beside):
        folder.mkdir()
    (target / "folder").symlink_to(beside)
    with pytest.raises(OSError, match="folder"):
        FolderTarget(target).unpack(iter([archive(("folder/file", tarfile.REGTYPE, "x"))]))
    (target / "file").symlink_to(beside / "file")
    FolderTarget(target).unpack(iter([archive(("file", tarfile.REGTYPE, "x"))]))
    assert (target / "file").read_text() == "x"
    assert not [*beside.iterdir()]
    with pytest.raises(CommandFailed, match="no archive"):
        FolderTarget(target).unpack(iter([b"x" * 2000]))
