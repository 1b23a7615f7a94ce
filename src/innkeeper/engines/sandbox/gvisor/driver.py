"""The `gvisor` driver: sandboxes with a kernel of their own in user space, by runsc(1) of gVisor.

`room.py` is one sandbox, `bundle.py` what it sees, `router.py` its way out, `guest.py` runs inside, `wire.py`
is how the host speaks with that, `line.py` how with a process itself, `snapshot.py` what is left of a sandbox
on disk, `restoring.py` how another goes on from that, `memory.py` what it is read into, `spares.py` what is
made ahead. The platform is systrap, which needs no virtualisation: runsc of July 2024 or later.
"""

import logging
import os
import secrets
import shutil
from pathlib import Path

from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.driver import RoomDriver
from innkeeper.engines.sandbox.gvisor import control
from innkeeper.engines.sandbox.gvisor.lent import Places, size
from innkeeper.engines.sandbox.gvisor.memory import Memory
from innkeeper.engines.sandbox.gvisor.room import GvisorRoom
from innkeeper.engines.sandbox.gvisor.router import Routers
from innkeeper.engines.sandbox.gvisor.snapshot import Image, Snapshots
from innkeeper.engines.sandbox.gvisor.spares import Spares
from innkeeper.engines.sandbox.sandbox import Isolation, SandboxError, SandboxSpec

_LOG = logging.getLogger(__name__)


class GvisorDriver(RoomDriver[GvisorRoom]):
    """`state_dir` belongs to this driver; at most one server at a time should use it."""

    name = "gvisor"
    isolation = Isolation.USER_KERNEL
    can_snapshot = True

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self._bundles = state_dir / "bundles"
        self._snapshots = Snapshots(self.name)
        self._routers = Routers()
        self._memory = Memory()
        self._spares = Spares(self._spare)

    def missing(self) -> list[str]:
        return missing()

    def room(self, spec: SandboxSpec, cgroup: Cgroup) -> GvisorRoom:
        folder = self._bundles / f"{spec.id}.{secrets.token_hex(4)}"
        ended = self._rooms.discard
        return GvisorRoom(spec, cgroup, ended, folder, self._snapshots, self._routers, self._memory)

    def expect(self, spec: SandboxSpec) -> None:
        self._spares.fill(spec, self.spares)

    async def restore(self, folder: Path, spec: SandboxSpec, *, again: bool = False) -> GvisorRoom:
        trusting, authority = await self._trusting(spec)
        image = await self._snapshots.open(folder, trusting)
        room = await self._claimed(await self._spares.take(spec, image), trusting, image)
        if room is None:
            room = await self._admit(trusting, authority)
            room.image = image
            await room.open(self._records, self._etc)
        self._spares.fill(spec, self.spares, room.image or image, again=again)
        return room

    async def close(self) -> None:
        await self._spares.close()
        await super().close()
        await self._routers.close()
        self._memory.close()

    async def _claimed(self, spare: GvisorRoom | None, spec: SandboxSpec, image: Image) -> GvisorRoom | None:
        """The spare, if there is one and it is well."""
        if spare is None:
            return None
        try:
            await spare.claim(spec, image)
        except SandboxError as error:
            _LOG.info("a sandbox made ahead was of no use: %s", error)
            return None
        return spare

    async def _spare(self, spec: SandboxSpec, urgent: bool, ahead: Places, image: Image | None) -> GvisorRoom:
        bare = SandboxSpec(
            f"spare-{secrets.token_hex(6)}",
            mounts=spec.mounts,
            limits=spec.limits,
            network=spec.network,
            layers=spec.layers,
            root=spec.root,
            folders=spec.folders,
        )
        room = await self._admit(*await self._trusting(bare))
        room.spare, room.urgent, room.image = True, urgent, image
        # Later builds listen to their own processes, and the kernel allows one to.
        known = (await self._snapshots.key()).build in control.BUILDS
        if known and size(ahead) <= spec.limits.memory_mib << 20:
            room.ahead = ahead
        await room.open(self._records, self._etc)
        return room


def missing() -> list[str]:
    """What keeps this machine from having such sandboxes at all, and the cure."""
    problems = []
    if shutil.which("runsc") is None:
        problems.append("no sandboxes: `scripts/packages runsc` installs runsc of gVisor")
    if not (shutil.which("setpriv") and shutil.which("unshare")):
        problems.append("no sandboxes: `apt-get install util-linux`")
    if os.getuid() != 0:
        problems.append("no sandboxes: the gvisor driver needs a server that runs as root")
    return problems
