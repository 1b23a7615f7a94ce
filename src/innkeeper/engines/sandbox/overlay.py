"""Folders laid over the host's programs, for one sandbox alone.

The mounts are made in a mount namespace around it, which ends with it:
https://docs.kernel.org/filesystems/overlayfs.html#multiple-lower-layers
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from innkeeper.engines.sandbox.image_root import furniture
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxSpec

_LAY = """
while [ "$1" != -- ]; do mount -t overlay -o "ro,lowerdir=$1" overlay "$2" || exit; shift 2; done
shift
exec "$@"
"""
_MEANINGFUL = frozenset(":,\\")


def overlays(spec: SandboxSpec, etc: Path) -> list[tuple[str, str]]:
    """The folders of each mount, the uppermost first, and where it goes, so that the sandbox's layers or its
    root are seen as they are to be. `etc` is our own /etc, and goes before theirs. Raises SandboxError for a
    path that cannot be laid."""
    if spec.root is None:
        return list(_layered(spec.layers, etc))
    if spec.layers:
        raise SandboxError("layers are laid over the host's programs: a sandbox with a root has none")
    return [_furnished(spec.root, etc)]


def laying(spec: SandboxSpec, etc: Path) -> list[str]:
    """What to put before a command, in a mount namespace of its own, so that it sees the `overlays`."""
    words = [word for pair in overlays(spec, etc) for word in pair]
    return ["/bin/sh", "-c", _LAY, "layers", *words, "--"] if words else []


def _furnished(root: Path, etc: Path) -> tuple[str, str]:
    if not root.is_dir():
        raise SandboxError(f"there is no root file system {root}")
    return f"{_plain(furniture(etc))}:{_plain(root)}", str(root)


def _layered(layers: Sequence[Path], etc: Path) -> Iterator[tuple[str, str]]:
    for layer in layers:
        if not layer.is_dir():
            raise SandboxError(f"cannot lay {layer} over the host's programs: there is no such folder")
    if parts := _parts(layers, "usr"):
        yield ":".join((*parts, "/usr")), "/usr"
    if parts := _parts(layers, "etc"):
        yield ":".join((_plain(etc), *parts)), str(etc)


def _parts(layers: Sequence[Path], name: str) -> list[str]:
    return [_plain(layer / name) for layer in layers if (layer / name).is_dir()]


def _plain(path: Path) -> str:
    if _MEANINGFUL.intersection(str(path)):
        raise SandboxError(f"cannot lay {path}: its name has :, a comma or \\ in it")
    return str(path.absolute())
