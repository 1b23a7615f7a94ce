"""What runsc(1) is told of one sandbox: an OCI bundle, a folder with `config.json` and a root file system.

https://github.com/opencontainers/runtime-spec/blob/main/config.md

Inside, root is the guest agent and is nobody on the host; the agent's user is the one the server runs as,
so that mounts need no change of owner. runsc bounds what both can do to what is mounted.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from innkeeper.engines.sandbox import guest, rootfs, seccomp
from innkeeper.engines.sandbox.gvisor.guest import FILTER
from innkeeper.engines.sandbox.gvisor.guest_doors import DOORS
from innkeeper.engines.sandbox.sandbox import SandboxSpec

ROOT_ID = 1_879_048_192
"""The host's user and group that root inside is: nobody's, and no range's that is given out by default."""

_LIBRARY = "/run/innkeeper/lib"
_PACKAGE = f"{_LIBRARY}/innkeeper/engines/sandbox"
_START = (
    f"import sys; sys.path.insert(0, {_LIBRARY!r}); "
    "from innkeeper.engines.sandbox.gvisor.guest import main; main()"
)
_GUEST_CAPABILITIES = (
    *("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_ADMIN", "CAP_KILL", "CAP_CHOWN"),
)
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_GUEST_FILES = 1_048_576  # the guest agent lowers it for what it starts
_PLACES = ("proc", "sys", "dev", "tmp")


def write(folder: Path, spec: SandboxSpec, etc: Path, network: str | None) -> None:
    """`network` is the path of a namespace to enter; without, a new and empty one is made. Raises OSError,
    and SandboxError for a mount that cannot be made."""
    root = folder / "rootfs"
    for place in (*_PLACES, _PACKAGE[1:] + "/gvisor", DOORS[1:]):
        (root / place).mkdir(parents=True)
    # With their times: a sandbox that goes on from a snapshot must find the files it had open as they were.
    shutil.copy2(guest.__file__, f"{root}{_PACKAGE}/guest.py")
    for module in Path(__file__).parent.glob("guest*.py"):
        shutil.copy2(module, f"{root}{_PACKAGE}/gvisor/{module.name}")
    Path(f"{root}{FILTER}").write_bytes(seccomp.program(os.uname().machine))
    doors(folder).mkdir(0o700)
    os.chown(doors(folder), ROOT_ID, ROOT_ID)
    mounts = [*_binds(root, folder, spec, etc), *_in_memory(spec)]
    (folder / "config.json").write_text(json.dumps(_config(spec, mounts, network)))


def doors(folder: Path) -> Path:
    return folder / "doors"


def _binds(root: Path, folder: Path, spec: SandboxSpec, etc: Path) -> Iterator[dict[str, Any]]:
    for piece in rootfs.pieces(spec, etc):
        if isinstance(piece, rootfs.Link):
            link = Path(f"{root}{piece.target}")
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(piece.to)
        else:
            yield _bind(piece.source, piece.target)
    yield _bind(doors(folder), DOORS)
    for mount in spec.mounts:
        yield _bind(mount.source.absolute(), str(rootfs.checked_target(mount)), mount.writable)


def _bind(source: Path, target: str, writable: bool = False) -> dict[str, Any]:
    options = ["rbind", "rw" if writable else "ro"]
    return {"destination": target, "type": "bind", "source": str(source), "options": options}


def _in_memory(spec: SandboxSpec) -> Iterator[dict[str, Any]]:
    yield {"destination": "/proc", "type": "proc", "source": "proc"}
    agent = f"mode=755,uid={rootfs.USER_ID},gid={rootfs.USER_ID}"
    own = ((folder, agent) for folder in rootfs.own_folders(spec))
    for target, mode in ((rootfs.TEMPORARY, "mode=1777"), (_SHARED_MEMORY, "mode=1777"), *own):
        options = [*mode.split(","), f"size={spec.limits.scratch_mib << 20}"]
        yield {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}


def _config(spec: SandboxSpec, mounts: list[dict[str, Any]], network: str | None) -> dict[str, Any]:
    limits = (str(spec.limits.processes), str(spec.limits.open_files))
    identities = [
        {"containerID": 0, "hostID": ROOT_ID, "size": 1},
        {"containerID": rootfs.USER_ID, "hostID": os.getuid(), "size": 1},
    ]
    kinds = ("pid", "ipc", "uts", "mount", "user")
    outside = {"type": "network", **({"path": network} if network else {})}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": [*rootfs.interpreter_command(spec), "-c", _START, *limits],
            "env": [f"PATH={rootfs.ENVIRONMENT['PATH']}", "HOME=/"],
            "cwd": "/",
            "noNewPrivileges": True,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": _GUEST_FILES, "soft": _GUEST_FILES}],
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _GUEST_CAPABILITIES),
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "agent",
        "mounts": mounts,
        "linux": {
            "namespaces": [outside, *({"type": kind} for kind in kinds)],
            "uidMappings": identities,
            "gidMappings": identities,
        },
    }
