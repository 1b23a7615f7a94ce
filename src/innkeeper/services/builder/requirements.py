"""The packages that an agent's code asks for, in its `requirements.txt` or `pyproject.toml`.

Only names, versions, extras, markers and hashes are taken. Options, links and paths are refused: they would
make the server read its own files or call addresses of the developer's choosing. Another package index is the
operator's to set, through uv's own configuration (`UV_DEFAULT_INDEX`).
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from innkeeper.services.builder.model import BuildFailed

_FILE_MAX_BYTES = 1_000_000
_HASH = re.compile(r"\s--hash[=\s]\s*\w+:[0-9A-Fa-f]+")
_COMMENT = re.compile(r"(^|\s)#.*$")


@dataclass(frozen=True, slots=True)
class Requirements:
    """`source` names the file; `lines` are what uv may read as a requirements file."""

    source: str
    lines: tuple[str, ...]


def read_requirements(code: Path) -> Requirements | None:
    """What the folder's `requirements.txt`, else its `pyproject.toml`, asks for. Raises BuildFailed."""
    listed = code / "requirements.txt"
    if listed.is_file():
        lines = (_checked(line, f"requirements.txt line {number}") for number, line in _lines(_read(listed)))
        return Requirements(listed.name, tuple(lines))
    project = code / "pyproject.toml"
    if project.is_file():
        return Requirements(project.name, tuple(_checked(line, project.name) for line in _declared(project)))
    return None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their last physical one: comments gone, continued lines joined."""
    joined = ""
    for number, line in enumerate(text.splitlines(), 1):
        joined += _COMMENT.sub("", line)
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        if joined.strip():
            yield number, joined.strip()
        joined = ""
    if joined.strip():
        yield len(text.splitlines()), joined.strip()


def _checked(line: str, place: str) -> str:
    plain = _HASH.sub("", line).strip()
    try:
        requirement = Requirement(plain)
    except InvalidRequirement as error:
        raise BuildFailed(
            f"{place}: {plain[:200]!r} is not a package with versions; options, links and paths are not taken"
        ) from error
    if requirement.url:
        raise BuildFailed(f"{place}: {plain[:200]!r} is a link; name a version of a package index instead")
    return " ".join([str(requirement), *(found.strip() for found in _HASH.findall(line))])


def _declared(project: Path) -> list[str]:
    try:
        table = tomllib.loads(_read(project)).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise BuildFailed(f"pyproject.toml is not TOML: {error}") from error
    declared = table.get("dependencies", []) if isinstance(table, dict) else []
    if not isinstance(declared, list) or not all(isinstance(line, str) for line in declared):
        raise BuildFailed("pyproject.toml: [project] dependencies must be a list of strings")
    return declared


def _read(path: Path) -> str:
    if path.stat().st_size > _FILE_MAX_BYTES:
        raise BuildFailed(f"{path.name} is larger than {_FILE_MAX_BYTES} bytes")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BuildFailed(f"{path.name} is not UTF-8 text") from error
