"""Users of the host for sandboxes, one for each that runs: none of them has a login, a file or a process.

They are the subordinate ids of the server's user (subuid(5), subgid(5)); root needs none. Which of them are
taken, the kernel knows: the control socket that a guest agent holds is bound to a name that says so, and is
gone when the guest is, however the server ended. So all servers of this host share one account of them.
"""

import errno
import os
import pwd
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import SandboxError

FIRST_ID, COUNT = 1_900_000_000, 65_536
"""Root's: beyond those that are given out by default, to people, services, containers and gvisor's guests."""

_TRIES = 1000


@dataclass(frozen=True, slots=True)
class HostUser:
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class HostUsers:
    """`count` of them, from the first on."""

    first: HostUser
    count: int

    @classmethod
    def of_this_server(
        cls, subuid: Path = Path("/etc/subuid"), subgid: Path = Path("/etc/subgid")
    ) -> "HostUsers | None":
        """Those that it may give to its sandboxes, if any."""
        uids, gids = _subordinate(subuid), _subordinate(subgid)
        if uids and gids:
            return cls(HostUser(uids[0], gids[0]), min(uids[1], gids[1]))
        if os.getuid() == 0 and all(_known(Path("/proc/self", name)) for name in ("uid_map", "gid_map")):
            return cls(HostUser(FIRST_ID, FIRST_ID), COUNT)
        return None

    def allot(self, holder: socket.socket) -> HostUser:
        """One that no other sandbox has while anybody holds this socket. By chance, so that one that has just
        ended is not followed at once. Raises SandboxError, OSError."""
        for _ in range(_TRIES):
            number = secrets.randbelow(self.count)
            user = HostUser(self.first.uid + number, self.first.gid + number)
            try:
                holder.bind(f"\0innkeeper-user-{user.uid}")
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return user
        raise SandboxError(f"all {self.count} host users for sandboxes are taken; see subuid(5)")


def _subordinate(table: Path) -> tuple[int, int] | None:
    """The first range of this process's user: where it begins, and how long it is."""
    try:
        lines = [line.split(":") for line in table.read_text().splitlines()]
        names = {str(os.getuid()), pwd.getpwuid(os.getuid()).pw_name}
        return next((int(first), int(count)) for name, first, count in lines if name in names)
    except (OSError, KeyError, ValueError, StopIteration):
        return None


def _known(table: Path) -> bool:
    """Whether root's range has a meaning here: a container may have fewer ids."""
    ranges = [tuple(map(int, line.split())) for line in table.read_text().splitlines()]
    return any(first <= FIRST_ID and first + count >= FIRST_ID + COUNT for first, _, count in ranges)
