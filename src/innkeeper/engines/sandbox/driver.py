"""What the drivers of this host have in common: they keep rooms, and records of them for the next server."""

import asyncio
import logging
import re
import secrets
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from innkeeper.engines.sandbox import cgroups, freezer, network, rootfs
from innkeeper.engines.sandbox.cgroups import Cgroup, Hierarchy
from innkeeper.engines.sandbox.egress import gate
from innkeeper.engines.sandbox.egress.authority import Authority
from innkeeper.engines.sandbox.egress.listing import Listing
from innkeeper.engines.sandbox.records import Records
from innkeeper.engines.sandbox.room import Room
from innkeeper.engines.sandbox.sandbox import (
    Capabilities,
    Isolation,
    Network,
    Preload,
    Process,
    SandboxError,
    SandboxSpec,
)

_LOG = logging.getLogger(__name__)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Kept = TypeVar("Kept", bound=Room)


class RoomDriver(ABC, Generic[Kept]):
    """A `SandboxDriver`; those that inherit it say what is `missing`, and make a `room`."""

    name: str
    isolation: ClassVar[Isolation]
    can_snapshot: ClassVar[bool] = False

    def __init__(self, state_dir: Path) -> None:
        self._etc = state_dir / "etc"
        self._records = Records(state_dir / "sandboxes")
        self.spares = 0
        self.zygotes = 0
        self._rooms: set[Room] = set()
        self._vouched = asyncio.Lock()
        self._preparation: asyncio.Task[None] | None = None
        self._hierarchies: tuple[Hierarchy, ...] = ()
        self._problems: tuple[str, ...] = ()
        self._authority_folder = state_dir / "authority"
        self._authority: Authority | None = None

    @abstractmethod
    def missing(self) -> list[str]:
        """What keeps this machine from having such sandboxes at all, and the cure."""

    def prepare(self, etc: Path) -> None:
        """Write what all sandboxes are to see in that folder. Blocks. Raises OSError."""
        rootfs.write_etc(etc)

    def lacking(self) -> list[str]:
        """What this machine does not have that would make their walls stronger, and the cure."""
        return []

    @abstractmethod
    def room(self, spec: SandboxSpec, cgroup: Cgroup) -> Kept:
        """One that is not open yet, and leaves `_rooms` when it has ended. Raises OSError, SandboxError."""

    async def probe(self) -> Capabilities:
        """Tries each kind of network with a sandbox that it ends at once."""
        networks: set[Network] = set()
        problems = self.missing()
        if not problems:
            problems += await self._try(Network.NONE, networks)
        if networks:
            problems += await self._try_networks(networks)
        limited = bool(self._hierarchies)
        return Capabilities(
            isolation=self.isolation,
            networks=frozenset(networks),
            enforces_limits=limited,
            measures_usage=limited,
            can_pause=any(hierarchy.freezes for hierarchy in self._hierarchies),
            can_snapshot=self.can_snapshot and bool(networks),
            problems=(*problems, *self._problems, *self.lacking()),
        )

    async def create(self, spec: SandboxSpec) -> Kept:
        room = await self._admit(*await self._trusting(spec))
        await room.open(self._records, self._etc)
        return room

    async def hatch(self, spec: SandboxSpec, preload: Preload) -> tuple[Kept, Process] | None:
        return None

    def expect(self, spec: SandboxSpec) -> None:
        """Nothing that is done at once can be done ahead."""

    async def restore(self, folder: Path, spec: SandboxSpec, *, again: bool = False) -> Kept:
        raise SandboxError(f"the {self.name} driver restores no snapshots; the gvisor driver does")

    async def reap(self) -> list[str]:
        return await asyncio.to_thread(self._reap)

    async def close(self) -> None:
        await asyncio.gather(*(room.kill() for room in self._rooms))

    async def _admit(self, spec: SandboxSpec, authority: Authority | None) -> Kept:
        """A room that `close` knows of, but nothing of it on this host yet."""
        try:
            hierarchies = await self._prepared()
            room = self.room(spec, Cgroup(hierarchies, spec.id))
            room.authority = authority
        except OSError as error:
            raise SandboxError(f"cannot make a sandbox: {error}") from error
        self._rooms.add(room)
        return room

    async def _trusting(self, spec: SandboxSpec) -> tuple[SandboxSpec, Authority | None]:
        """With what a sandbox with a list needs to believe our proxy. Raises SandboxError for a bad spec."""
        checked(spec)
        try:
            authority = await self._vouching(spec)
        except OSError as error:
            raise SandboxError(f"cannot make a sandbox: {error}") from error
        return (gate.trusting(spec, authority) if authority else spec), authority

    async def _prepared(self) -> tuple[Hierarchy, ...]:
        """Done once. Who gives up meanwhile leaves it to go on, for the next who needs it. Raises OSError."""
        done = self._preparation
        if done is None or (done.done() and (done.cancelled() or done.exception())):
            self._preparation = asyncio.create_task(asyncio.to_thread(self._prepare))
        assert self._preparation
        await asyncio.shield(self._preparation)
        return self._hierarchies

    def _prepare(self) -> None:
        self.prepare(self._etc)
        self._hierarchies, self._problems = cgroups.open_hierarchies()

    async def _vouching(self, spec: SandboxSpec) -> Authority | None:
        """That of this driver, for a sandbox with a list. Raises SandboxError when the list is not good."""
        listing = Listing.of(spec.egress)
        if spec.network is not Network.LISTED:
            if listing != Listing():
                raise SandboxError(f"a sandbox with the network {spec.network.value!r} has no egress list")
            return None
        async with self._vouched:
            if self._authority is None:
                self._authority = await asyncio.to_thread(Authority, self._authority_folder)
        return self._authority

    async def _try_networks(self, networks: set[Network]) -> list[str]:
        """Why there is one or another no network; those that there are, are added. With a list takes all
        that the public one takes, and more."""
        if problems := network.problems():
            return problems
        problems = network.listing_problems() or await self._try(Network.LISTED, networks)
        if problems:
            return [*problems, *await self._try(Network.PUBLIC, networks)]
        networks.add(Network.PUBLIC)
        return []

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
            try:
                cgroups.release(record.cgroups)
            except SandboxError as error:
                _LOG.warning("%s of an earlier server: %s", record.id, error)  # its record stays
            for folder in record.folders:
                shutil.rmtree(folder, ignore_errors=True)
            self._records.remove(record.id, record.cgroups)
            found.append(record.id)
        return found


def checked(spec: SandboxSpec) -> None:
    """Raises SandboxError for an id that is none."""
    if not _ID.fullmatch(spec.id):
        raise SandboxError(f"a sandbox id is 1 to 64 letters, digits, - and _; not {spec.id[:80]!r}")
