"""The `bubblewrap` driver: namespaces of the host's kernel, made by bwrap(1), with or without root.

`room.py` is one sandbox; `guest.py` runs inside it, and `rootfs.py` says what it sees there.

To the host's file systems an agent is the user that the server runs as, so mounts need no change of owner.
Where that is root, keep writable mounts in a folder that is shut to the host's other users, as the data
folder is: an agent may leave a set-user-id program there, which is powerless inside but not outside.
"""

import asyncio
import re
import secrets
import shutil
from pathlib import Path

from innkeeper.engines.sandbox import cgroups, freezer, network, rootfs
from innkeeper.engines.sandbox.cgroups import Cgroup, Hierarchy
from innkeeper.engines.sandbox.records import Records
from innkeeper.engines.sandbox.room import Room
from innkeeper.engines.sandbox.sandbox import Capabilities, Isolation, Network, SandboxError, SandboxSpec

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BubblewrapDriver:
    """`state_dir` belongs to this driver; at most one server at a time should use it."""

    name = "bubblewrap"

    def __init__(self, state_dir: Path) -> None:
        self._etc = state_dir / "etc"
        self._records = Records(state_dir / "sandboxes")
        self._rooms: set[Room] = set()
        self._preparing = asyncio.Lock()
        self._ready = False
        self._hierarchies: tuple[Hierarchy, ...] = ()
        self._problems: tuple[str, ...] = ()

    async def probe(self) -> Capabilities:
        """Tries each kind of network with a sandbox that it ends at once."""
        networks: set[Network] = set()
        problems = [] if shutil.which("bwrap") else ["no sandboxes: `apt-get install bubblewrap`"]
        if not problems:
            problems += await self._try(Network.NONE, networks)
        if networks:
            problems += network.problems() or await self._try(Network.PUBLIC, networks)
        limited = bool(self._hierarchies)
        return Capabilities(
            isolation=Isolation.KERNEL_SHARED,
            networks=frozenset(networks),
            enforces_limits=limited,
            measures_usage=limited,
            can_pause=any(hierarchy.freezes for hierarchy in self._hierarchies),
            problems=(*problems, *self._problems),
        )

    async def create(self, spec: SandboxSpec) -> Room:
        if not _ID.fullmatch(spec.id):
            raise SandboxError(f"a sandbox id is 1 to 64 letters, digits, - and _; not {spec.id[:80]!r}")
        try:
            hierarchies = await self._prepared()
            room = Room(spec, Cgroup(hierarchies, spec.id), self._rooms.discard)
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
            self._records.remove(record.id)
            found.append(record.id)
        return found
