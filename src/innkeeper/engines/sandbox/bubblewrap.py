"""The `bubblewrap` driver: namespaces of the host's kernel, made by bwrap(1), with or without root.

`room.py` is one sandbox; `guest.py` runs inside it, and `rootfs.py` says what it sees there.

To the host each sandbox is a user of its own, where the server is root or has subordinate ids
(`host_users.py`): its files, processes and counters are foreign to every other, even where a namespace fails.
Else, and where something writable is mounted that cannot be given to another user (`anteroom.py`), it is the
server's user. Where that is root, keep writable mounts in a folder that is shut to the host's other users, as
the data folder is: an agent may leave a set-user-id program there, which is powerless inside but not outside.
"""

import asyncio
import logging
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from innkeeper.engines.sandbox import landlock, launch, rootfs
from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.driver import RoomDriver
from innkeeper.engines.sandbox.host_users import HostUsers
from innkeeper.engines.sandbox.room import Room
from innkeeper.engines.sandbox.sandbox import Isolation, Preload, Process, SandboxError, SandboxSpec
from innkeeper.engines.sandbox.zygote import Zygote
from innkeeper.engines.sandbox.zygotes import Zygotes

_LOG = logging.getLogger(__name__)

_TRIAL_TIMEOUT_SECONDS = 30
_CURE = (
    "run the server as root, or install newuidmap (`apt-get install uidmap`) and give its user subordinate "
    "ids: `usermod --add-subuids 1900000000-1900065535 --add-subgids 1900000000-1900065535 USER`"
)


class BubblewrapDriver(RoomDriver[Room]):
    """`state_dir` belongs to this driver; at most one server at a time should use it."""

    name = "bubblewrap"
    isolation = Isolation.KERNEL_SHARED

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self._users: HostUsers | None = None
        self._shared = ""  # why all are one user
        self._zygotes = Zygotes(self._load)

    def missing(self) -> list[str]:
        return [] if shutil.which("bwrap") else ["no sandboxes: `apt-get install bubblewrap`"]

    def prepare(self, etc: Path) -> None:
        super().prepare(etc)
        rootfs.write_guest(etc)
        self._users = HostUsers.of_this_server()
        self._shared = _complaint(self._users, etc)
        if self._shared:
            self._users = None

    def lacking(self) -> list[str]:
        shared = f"all sandboxes are one user of this host, the server's: {self._shared}"
        return [*landlock.missing(), *([shared] if self._shared else [])]

    async def hatch(self, spec: SandboxSpec, preload: Preload) -> tuple[Room, Process] | None:
        """From a zygote, if there is one: whatever goes wrong with that is no fault of the caller's."""
        zygote = self._zygotes.ready(spec, preload, self.zygotes)
        if zygote is None:
            return None
        room = await self._admit(*await self._trusting(spec))
        room.mother = zygote.user
        await room.open(self._records, self._etc)
        try:
            return room, await room.hatch(zygote.fork)
        except BaseException as error:
            await asyncio.shield(room.kill())
            if not isinstance(error, (SandboxError, OSError)):
                raise
            _LOG.warning("a zygote gave no process, and is ended; the sandbox is made without: %s", error)
            await zygote.kill()
            return None

    async def close(self) -> None:
        await self._zygotes.close()
        await super().close()

    def room(self, spec: SandboxSpec, cgroup: Cgroup) -> Room:
        room = Room(spec, cgroup, self._rooms.discard)
        room.users = self._users
        return room

    async def _load(self, spec: SandboxSpec, preload: Preload) -> Zygote:
        """With what such sandboxes may read alone: nothing of a session comes near it."""
        hierarchies = await self._prepared()
        if self._users is None or os.getuid() != 0:
            raise SandboxError(
                "zygotes need a server that is root, and sandboxes that are users of their own"
            )
        plain = SandboxSpec(
            f"zygote-{secrets.token_hex(6)}",
            mounts=[mount for mount in spec.mounts if not mount.writable],
            environment=spec.environment,
            limits=spec.limits,
            layers=spec.layers,
            root=spec.root,
            folders=spec.folders,
        )
        zygote = Zygote(plain, Cgroup(hierarchies, plain.id), self._rooms.discard, preload)
        zygote.users = self._users
        self._rooms.add(zygote)
        await zygote.open(self._records, self._etc)
        return zygote


def _complaint(users: HostUsers | None, etc: Path) -> str:
    """Why sandboxes cannot be these users, found by trying, and the cure; empty if they can."""
    if users is None:
        return _CURE
    command = [*launch.walled(SandboxSpec("trial"), etc, users.first), "true"]
    try:
        tried = subprocess.run(command, capture_output=True, timeout=_TRIAL_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}; {_CURE}"
    if tried.returncode == 0:
        return ""
    said = launch.explained(tried.stderr.decode(errors="replace").strip())
    return said if os.getuid() == 0 else f"{said}; {_CURE}"
