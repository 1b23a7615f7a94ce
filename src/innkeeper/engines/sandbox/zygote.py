"""A process that has a program loaded, from which sandboxes get theirs by fork(2); `zygote_guest.py` is it.

It is watched, limited, recorded and ended as a sandbox is, since it runs what the template holds.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from innkeeper.engines.sandbox import launch
from innkeeper.engines.sandbox.calls import in_time
from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.host_users import HostUser
from innkeeper.engines.sandbox.nest import Nest
from innkeeper.engines.sandbox.readiness import readable
from innkeeper.engines.sandbox.room import Room
from innkeeper.engines.sandbox.sandbox import Preload, SandboxError, SandboxSpec
from innkeeper.engines.sandbox.zygote_guest import GO, HERE

_CREDENTIALS = struct.Struct("3i")
_TOLD_MAX_BYTES = 64
_FORK_TIMEOUT_SECONDS = 10.0


class Zygote(Room):
    """`fork` puts processes of the program into sandboxes whose `mother` is this one's user."""

    def __init__(
        self, spec: SandboxSpec, cgroup: Cgroup, ended: Callable[[Room], None], preload: Preload
    ) -> None:
        super().__init__(spec, cgroup, ended)
        self._preload = preload

    async def fork(self, nest: Nest, standard: Sequence[int]) -> int:
        """The number there of a process in that sandbox, which runs. Raises SandboxError; there may be one
        all the same, so that the sandbox has to end."""
        with ExitStack() as stack:
            link, theirs = map(stack.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            link.setblocking(False)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            filter_ = launch.filter_file()
            stack.callback(os.close, filter_)
            spaces = stack.enter_context(nest.spaces())
            fds = (theirs.fileno(), *standard, filter_, *spaces)
            reply = await self._channel.call("fork", *nest.fields, fds=fds)
            theirs.close()
            if reply.error:
                raise SandboxError(f"the zygote could not fork: {os.strerror(reply.error)}")
            return await in_time(self._led(link, nest), _FORK_TIMEOUT_SECONDS)

    async def _led(self, link: socket.socket, nest: Nest) -> int:
        """Which process it is that says it is there, the kernel tells: no word of its own is taken for it."""
        said, pid, user = await _heard(link)
        if said != HERE or user != self._own_user.uid:
            raise SandboxError("the zygote's child did not say what it should")
        nest.admit(pid)
        link.send(GO)
        said, _, _ = await _heard(link)
        if not said.isdigit():
            raise SandboxError("the zygote's child could not join the sandbox")
        return int(said)

    def _filter(self) -> int:
        return launch.filter_file(launch.ZYGOTE_MAY)

    def _command(self, etc: Path, info: int, control: int, filter_: int) -> list[str]:
        fds = info, control, filter_
        return launch.zygote(self._spec, etc, self._cgroup.doors, self._own_user, self._preload, *fds)

    @property
    def _own_user(self) -> HostUser:
        if self.user is None:
            raise SandboxError("a zygote has to be a user of its own")
        return self.user


async def _heard(link: socket.socket) -> tuple[bytes, int, int]:
    """What was said, by which process, of which user."""
    while True:
        await readable(link.fileno())
        try:
            said, ancillary, _, _ = link.recvmsg(_TOLD_MAX_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
        except BlockingIOError:
            await asyncio.sleep(0)
            continue
        pid, user, _ = next(
            (_CREDENTIALS.unpack(data) for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS),
            (0, -1, -1),
        )
        return said, pid, user
