"""Container images: what is known of one, and what may be unpacked."""

from collections.abc import Mapping
from dataclasses import dataclass


class ImageError(Exception):
    """The image cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Of the archive, of what its layers unpack to, and of how many files, folders and links they have."""

    archive_bytes: int = 10_000_000_000
    unpacked_bytes: int = 10_000_000_000
    entries: int = 500_000
    layers: int = 200


@dataclass(frozen=True, slots=True)
class Defaults:
    """How a container of it starts, as the image says; `command` is the entry point with its arguments.
    https://github.com/opencontainers/image-spec/blob/main/config.md"""

    environment: Mapping[str, str]
    working_directory: str
    user: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`digest` names the image by all that is in it; `shell` is whether it has a /bin/sh; `notes` say what
    was left out."""

    digest: str
    defaults: Defaults
    size_bytes: int
    shell: bool
    notes: tuple[str, ...] = ()
