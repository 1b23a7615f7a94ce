"""The `gvisor` driver: sandboxes with a kernel of their own in user space, by runsc(1) of gVisor.

`room.py` is one sandbox, `bundle.py` what it sees, `guest.py` runs inside, `doors.py` is how its streams get
out. The platform is systrap, which needs no virtualisation: runsc of 2023 or later.
"""

import asyncio
import os
import re
import secrets
import shutil
from pathlib import Path

from innkeeper.engines.sandbox import cgroups, freezer, network, rootfs
from innkeeper.engines.sandbox.cgroups import Cgroup, Hierarchy
from innkeeper.engines.sandbox.gvisor.room import GvisorRoom, discard
from innkeeper.engines.sandbox.records import Records
from innkeeper.engines.sandbox.room import Room
from innkeeper.engines.sandbox.sandbox import Capabilities, Isolation, Network, SandboxError, SandboxSpec

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class GvisorDriver:
    """`state_dir` belongs to this driver; at most one server at a time should use it."""

    name = "gvisor"

    def __init__(self, state_dir: Path) -> None:
        self._etc = state_dir / "etc"
        self._bundles = state_dir / "bundles"
        self._records = Records(state_dir / "sandboxes")
        self._rooms: set[Room] = set()
        self._preparing = asyncio.Lock()
        self._ready = False
        self._hierarchies: tuple[Hierarchy, ...] = ()
        self._problems: tuple[str, ...] = ()

    async def probe(self) -> Capabilities:
        """Tries each kind of network with a sandbox that it ends at once."""
        problems = missing()
        networks: set[Network] = set()
        if not problems:
            problems += await self._try(Network.NONE, networks)
        if networks:
            problems += network.problems() or await self._try(Network.PUBLIC, networks)
        limited = bool(self._hierarchies)
        return Capabilities(
            isolation=Isolation.USER_KERNEL,
            networks=frozenset(networks),
            enforces_limits=limited,
            measures_usage=limited,
            can_pause=any(hierarchy.freezes for hierarchy in self._hierarchies),
            problems=(*problems, *self._problems),
        )

    async def create(self, spec: SandboxSpec) -> GvisorRoom:
        if not _ID.fullmatch(spec.id):
            raise SandboxError(f"a sandbox id is 1 to 64 letters, digits, - and _; not {spec.id[:80]!r}")
        try:
            hierarchies = await self._prepared()
            folder = self._bundles / f"{spec.id}.{secrets.token_hex(4)}"
            room = GvisorRoom(spec, Cgroup(hierarchies, spec.id), self._rooms.discard, folder)
        except OSError as error:
            raise SandboxError(f"cannot make a sandbox: {error}") from error
        self._rooms.add(room)
        await room.open(self._records, self._etc)
        return room

    async def reap(self) -> list[str]:
        return await asyncio.to_thread(self._reap)

    async def close(self) -> None:
        await asyncio.gather(*(room.kill() for room in self._rooms))

    async def _prepared(self) -> tuple[Hierarchy, ...]:
        async with self._preparing:
            if not self._ready:
                await asyncio.to_thread(rootfs.write_etc, self._etc)
                self._hierarchies, self._problems = await asyncio.to_thread(cgroups.open_hierarchies)
                self._ready = True
        return self._hierarchies

    async def _try(self, kind: Network, networks: set[Network]) -> list[str]:
        """Why there is no such network, or nothing and the kind added to `networks`."""
        try:
            room = await self.create(SandboxSpec(f"probe-{secrets.token_hex(6)}", network=kind))
        except SandboxError as error:
            return [f"no sandboxes with network {kind.value!r}: {error}"]
        await room.kill()
        networks.add(kind)
        return []

    def _reap(self) -> list[str]:
        found = []
        for record in self._records.left_behind():
            freezer.thaw(record.cgroups)
            for mark in record.processes:
                mark.kill()
            cgroups.release(record.cgroups)
            for folder in self._bundles.glob(f"{record.id}.*"):
                discard(folder)
            self._records.remove(record.id)
            found.append(record.id)
        return found


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
