"""The `bubblewrap` driver: namespaces of the host's kernel, made by bwrap(1), with or without root.

`room.py` is one sandbox; `guest.py` runs inside it, and `rootfs.py` says what it sees there.

To the host's file systems an agent is the user that the server runs as, so mounts need no change of owner.
Where that is root, keep writable mounts in a folder that is shut to the host's other users, as the data
folder is: an agent may leave a set-user-id program there, which is powerless inside but not outside.
"""

import shutil
from pathlib import Path

from innkeeper.engines.sandbox import landlock, rootfs
from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.driver import RoomDriver
from innkeeper.engines.sandbox.room import Room
from innkeeper.engines.sandbox.sandbox import Isolation, SandboxSpec


class BubblewrapDriver(RoomDriver[Room]):
    """`state_dir` belongs to this driver; at most one server at a time should use it."""

    name = "bubblewrap"
    isolation = Isolation.KERNEL_SHARED

    def missing(self) -> list[str]:
        return [] if shutil.which("bwrap") else ["no sandboxes: `apt-get install bubblewrap`"]

    def prepare(self, etc: Path) -> None:
        super().prepare(etc)
        rootfs.write_guest(etc)

    def lacking(self) -> list[str]:
        return landlock.missing()

    def room(self, spec: SandboxSpec, cgroup: Cgroup) -> Room:
        return Room(spec, cgroup, self._rooms.discard)
