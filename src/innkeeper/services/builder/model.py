"""The words of a build: what turning a code archive into a launchable folder takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TASK_FOLDER = "/var/task"
"""Where a sandbox has the code."""
DENO_FOLDER = "/opt/innkeeper-deno"
"""Where it has the build of Deno."""


class BuildFailed(Exception):
    """The code cannot be run as it is; the message tells its developer why and what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """`unpacked_bytes` bounds the archive inflated and, again, the folder with its packages.

    `ratio` is how many times its own size an archive may inflate to; it counts only past 50 MB, since small
    archives of plain text or zeros are harmless. `concurrent_builds` share this machine at a time.
    """

    archive_bytes: int = 262_144_000
    unpacked_bytes: int = 786_432_000
    entries: int = 100_000
    ratio: int = 200
    timeout_seconds: float = 900.0
    concurrent_builds: int = 2


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the code in a sandbox that has its folder, read-only, at `/var/task`.

    `mounts` are folders of the host that must be visible, read-only, under their own path inside.
    """

    argv: tuple[str, ...]
    mounts: tuple[Path, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Build:
    """`path` is the folder to mount at `/var/task`; `notes` are lines for the developer's log."""

    digest: str
    path: Path
    launch: Launch
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A folder of installed packages, to mount read-only. `resolved` are its packages with their versions and
    checksums, by their names."""

    path: Path
    size_bytes: int
    resolved: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
