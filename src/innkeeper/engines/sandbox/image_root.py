"""A root file system of its own, such as an image's, in the place of the host's programs.

What every sandbox must find, an /etc of ours and a home, is laid over it. The guest agent brings the host's
interpreter with it, below `HOST`, and starts it through the host's own dynamic loader (ld.so(8)): so it runs
whichever C library the image has, or none.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import Mount, SandboxError

HOST = "/run/innkeeper/host"

OURS = {"dev", "proc", "run", "sys", "tmp"}
"""Folders that are never the image's."""
_LAID = {"etc", "home", "var"}  # those that are partly the furniture's
_LOADERS = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}
_LIBRARIES = ("/lib/{}-linux-gnu", "/usr/lib/{}-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")


def furniture(etc: Path) -> Path:
    """The folder to lay over an image's root, beside our `etc`."""
    return etc.with_name("furniture")


def entries(root: Path) -> Iterator[tuple[str, Path | None, str]]:
    """What of a root is visible: its name, and where it lies on this host or, of a link, what it says."""
    for name in sorted({*(path.name for path in root.iterdir()), *_LAID} - OURS):
        path = root / name
        if path.is_symlink() and name not in _LAID:
            yield name, None, str(path.readlink())
        else:
            yield name, path, ""


def carried(python: Path) -> Iterator[Mount]:
    """What the interpreter needs of the host."""
    folders = {Path("/usr"), *(Path(name) for name in ("/lib", "/lib64") if not Path(name).is_symlink())}
    if not python.is_relative_to("/usr"):
        folders.add(Path(sys.base_prefix))
    for folder in sorted(folders):
        if folder.is_dir():
            yield Mount(folder, f"{HOST}{folder}")


def started(python: Path) -> list[str]:
    """The words that start the interpreter from below `HOST`. Raises SandboxError where that is not known."""
    machine = os.uname().machine
    loader = Path(_LOADERS.get(machine, "/nowhere"))
    if not loader.exists():
        raise SandboxError(f"images need a host with glibc on {' or '.join(_LOADERS)}")
    found = {str(Path(name.format(machine)).resolve()): None for name in _LIBRARIES}
    libraries = ":".join(f"{HOST}{folder}" for folder in found if Path(folder).is_dir())
    interpreter = f"{HOST}{python.resolve()}"
    return [f"{HOST}{loader.resolve()}", "--inhibit-cache", "--library-path", libraries, interpreter]
