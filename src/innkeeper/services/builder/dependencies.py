"""An agent's packages, made right for this machine and interpreter.

Packages that came inside the archive and fit are used as they are. The AWS command lines always pack Linux
aarch64 wheels: those that do not fit here are replaced by the same name and version for this platform. The
developer's own files are never touched, even where they lie over a package's.
"""

import base64
import csv
import hashlib
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packaging import tags
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from innkeeper.services.builder.interpreters import Interpreter
from innkeeper.services.builder.model import BuildFailed

PACKAGES_FOLDER = ".innkeeper-packages"
_HASHES = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class Vendored:
    """A package that came inside the archive; `record` is its `*.dist-info` folder."""

    name: str
    version: str
    record: Path

    @property
    def pin(self) -> str:
        return f"{self.name}=={self.version}"


def vendored_records(code: Path) -> list[Path]:
    """The `*.dist-info` folders at the root of the code (PEP 376)."""
    return sorted(path for path in code.glob("*.dist-info") if path.is_dir())


def misfits(records: list[Path], interpreter: Interpreter) -> list[Vendored]:
    """Those whose wheel fits neither this machine nor interpreter. Raises BuildFailed."""
    fitting = _fitting_tags(interpreter)
    return [_vendored(record) for record in records if not _wheel_tags(record) & fitting]


def remove(package: Vendored, code: Path) -> None:
    """Remove the files that the package's RECORD lists, except those that are not as it recorded them: they
    are the developer's own, laid over the package's."""
    for path, recorded in _recorded_files(package.record):
        file = code / path
        if file.is_file() and _has_hash(file, recorded):
            file.unlink()
    for file in package.record.iterdir():
        if file.is_file():
            file.unlink()


def overlay(packages: Path, code: Path) -> None:
    """Move freshly installed files into the code, leaving every file that is there as it is."""
    for source in sorted(packages.rglob("*")):
        target = code / source.relative_to(packages)
        if not source.is_file() or target.exists():
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):  # a file of the developer's has the folder's name
            continue
        source.rename(target)


def is_installed(code: Path, name: str) -> bool:
    """Whether a package is among the archive's or the installed ones; `name` as in its `*.dist-info`."""
    return any(any(folder.glob(f"{name}-*.dist-info")) for folder in (code, code / PACKAGES_FOLDER))


def _fitting_tags(interpreter: Interpreter) -> frozenset[tags.Tag]:
    version = interpreter.minor
    name = f"cp{version[0]}{version[1]}"
    platforms = list(tags.platform_tags())
    exact = tags.cpython_tags(version, [name], platforms)
    return frozenset((*exact, *tags.compatible_tags(version, name, platforms)))


def _wheel_tags(record: Path) -> set[tags.Tag]:
    """Empty when the record does not tell."""
    wheel = _headers(record / "WHEEL")
    found: set[tags.Tag] = set()
    for text in wheel.get_all("Tag", []):
        if str(text).count("-") == 2:
            found |= tags.parse_tag(str(text))
    return found


def _vendored(record: Path) -> Vendored:
    metadata = _headers(record / "METADATA")
    try:
        name = canonicalize_name(str(metadata["Name"]), validate=True)
        version = Version(str(metadata["Version"]))
    except (InvalidName, InvalidVersion) as error:
        raise BuildFailed(
            f"{record.name} names no package and version in METADATA; pack it again, or leave it out and list"
            " the package in requirements.txt"
        ) from error
    return Vendored(name, str(version), record)


def _headers(file: Path) -> Message:
    text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
    return HeaderParser().parsestr(text, headersonly=True)


def _recorded_files(record: Path) -> list[tuple[PurePosixPath, str]]:
    """Paths below the code folder with their hashes (`sha256=...`). pip's `--target` records programs as
    `../../bin/NAME` though it puts them into `bin`."""
    file = record / "RECORD"
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        rows = [(row[0], row[1]) for row in csv.reader(lines) if len(row) >= 2 and row[1]]
    found = []
    for name, recorded in rows:
        while name.startswith("../"):
            name = name[3:]
        path = PurePosixPath(name)
        if not path.is_absolute() and ".." not in path.parts:
            found.append((path, recorded))
    return found


def _has_hash(file: Path, recorded: str) -> bool:
    algorithm, _, expected = recorded.partition("=")
    if algorithm not in _HASHES:
        return False
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, algorithm).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == expected
