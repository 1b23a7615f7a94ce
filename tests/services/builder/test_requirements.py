"""What an agent's code may ask for, and what would reach into the server."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.builder.requirements import read_requirements


def lines(folder: Path, text: str, name: str = "requirements.txt") -> tuple[str, ...]:
    (folder / name).write_text(text)
    found = read_requirements(folder)
    assert found is not None
    assert found.source == name
    return found.lines


def test_names_versions_markers_hashes_and_comments(tmp_path: Path) -> None:
    text = """\ufeff# what we need
requests[socks] >= 2.31, <3 ; python_version > "3.8"  # web
numpy==2.0.0 \\
    --hash=sha256:00ff \\
    --hash=sha256:aa11

urllib3"""
    assert lines(tmp_path, text) == (
        'requests[socks]<3,>=2.31; python_version > "3.8"',
        "numpy==2.0.0 --hash=sha256:00ff --hash=sha256:aa11",
        "urllib3",
    )


@pytest.mark.parametrize(
    "line",
    [
        "-r /etc/passwd",
        "--requirement=/etc/passwd",
        "-c /etc/passwd",
        "--index-url http://169.254.169.254/",
        "-e .",
        "./wheels/x.whl",
        "/etc/passwd",
        "file:///etc/passwd",
        "x @ file:///etc/passwd",
        "x @ http://127.0.0.1/x.whl",
        "git+https://example.com/x.git",
        "x --config-settings=a=b",
    ],
)
def test_options_links_and_paths_are_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(BuildFailed, match="line 2"):
        lines(tmp_path, f"requests\n{line}\n")


def test_a_project_file_counts_when_there_is_no_requirements_file(tmp_path: Path) -> None:
    project = '[project]\nname = "a"\ndependencies = ["requests>=2"]\n'
    assert lines(tmp_path, project, "pyproject.toml") == ("requests>=2",)
    assert lines(tmp_path, "httpx") == ("httpx",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[project", "TOML"),
        ('[project]\ndependencies = "requests"', "list"),
        ("[project]\ndependencies = [1]", "list"),
        ('[project]\ndependencies = ["x @ http://127.0.0.1/"]', "link"),
    ],
)
def test_project_files_that_cannot_be_taken(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(BuildFailed, match=reason):
        lines(tmp_path, text, "pyproject.toml")


def test_no_file_asks_for_nothing(tmp_path: Path) -> None:
    assert read_requirements(tmp_path) is None
    assert lines(tmp_path, '[tool.other]\nx = 1\nproject = "y"', "pyproject.toml") == ()
    (tmp_path / "pyproject.toml").write_text('project = "odd"')
    found = read_requirements(tmp_path)
    assert found is not None
    assert found.lines == ()


def test_a_binary_or_giant_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BuildFailed, match="UTF-8"):
        read_requirements(tmp_path)
    (tmp_path / "requirements.txt").write_bytes(b"#" * 1_000_001)
    with pytest.raises(BuildFailed, match="larger"):
        read_requirements(tmp_path)


pieces = st.sampled_from(
    [
        "-r",
        "requests",
        "==1.0",
        " ",
        "\n",
        "\\\n",
        "--hash=sha256:ab",
        "#",
        "@",
        "file:///x",
        "\x0b",
        "\u2028",
        ";",
    ]
)


@given(text=st.lists(pieces, max_size=12).map("".join) | st.text(max_size=40))
def test_whatever_passes_is_a_plain_requirement(tmp_path: Path, text: str) -> None:
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8", errors="ignore")
    try:
        found = read_requirements(tmp_path)
    except BuildFailed:
        return
    assert found is not None
    for line in found.lines:
        plain, *hashes = line.split(" --hash=")
        assert Requirement(plain).url is None
        assert len(line.splitlines()) == 1
        assert all(item.partition(":")[0].isalnum() for item in hashes)
