"""What is deployed is the code, all of it, and the same bytes every time."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from innkeeper.cli.archive import pack
from innkeeper.cli.failure import CommandFailed


def _zipped(source: Path) -> bytes:
    target = io.BytesIO()
    pack(source, target)
    return target.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "main.py",
        "pkg/b.py",
        "pkg/a.py",
        ".git/config",
        ".venv/bin/python",
        "pkg/__pycache__/a.pyc",
    ):
        path = tmp_path / "agent" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return tmp_path / "agent"


def test_the_same_contents_give_the_same_bytes(folder: Path) -> None:
    first = _zipped(folder)
    os.utime(folder / "main.py", (1, 1))
    assert _zipped(folder) == first
    (folder / "main.py").write_text("changed")
    assert _zipped(folder) != first


def test_what_is_not_code_stays_behind(folder: Path) -> None:
    assert pack(folder, io.BytesIO()) == ["main.py", "pkg/a.py", "pkg/b.py"]


def test_programs_stay_executable(folder: Path) -> None:
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o700)
    with zipfile.ZipFile(io.BytesIO(_zipped(folder))) as archive:
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert (modes["run.sh"], modes["main.py"]) == (0o755, 0o644)


def test_a_single_file_takes_its_requirements_along(folder: Path) -> None:
    assert pack(folder / "main.py", io.BytesIO()) == ["main.py"]
    (folder / "requirements.txt").write_text("bedrock-agentcore\n")
    assert pack(folder / "main.py", io.BytesIO()) == ["main.py", "requirements.txt"]


def test_a_linked_folder_is_refused_rather_than_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "linked").symlink_to(tmp_path)
    with pytest.raises(CommandFailed, match="linked is a link to a folder"):
        _zipped(folder)
