"""Sandboxes made before they are asked for: started, warmed up, and paused until somebody claims them.

They are made one at a time, so that they take little from the sandboxes that work. Of each kind that was ever
asked for, as many are kept ready as were claimed in the last minute, at least one, within the bounds. Each is
handed out once. After a crash, the driver's `reap` finds them as it finds all others.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from innkeeper.engines.sandbox.sandbox import Sandbox, SandboxError, SandboxGone

_LOG = logging.getLogger(__name__)
_DEMAND_SECONDS = 60.0
_LOOK_SECONDS = 15.0
_CALM_SECONDS = 0.25  # whoever has just claimed one has its first answer before the next is made
_RETRY_SECONDS = 30.0
_GUESSED_MIB = 128.0  # until the first is there to be weighed
_MIB_IN_KIB = 1024
_MEMINFO = Path("/proc/meminfo")


class Warm(Protocol):
    """A sandbox with what was started in it."""

    @property
    def sandbox(self) -> Sandbox: ...

    async def close(self) -> None:
        """End it all. Idempotent."""
        ...


Kind = TypeVar("Kind", bound=Hashable)
Ready = TypeVar("Ready", bound=Warm)


@dataclass(frozen=True, slots=True)
class Bounds:
    """`most` sandboxes of all kinds together; 0 keeps none. They may take `memory_share` of the host's
    memory, a number from 0 to 1, and are let go when less than that share is available to the rest."""

    most: int
    memory_share: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The host's, in MiB."""

    total: float
    available: float

    @classmethod
    def read(cls, meminfo: Path = _MEMINFO) -> "Memory":
        lines = (line.split() for line in meminfo.read_text().splitlines())
        sizes = {words[0]: int(words[1]) / _MIB_IN_KIB for words in lines}
        return cls(sizes["MemTotal:"], sizes["MemAvailable:"])


@dataclass(slots=True)
class Shelf:
    """What is known of one kind: how many are ready, and how many claims were met and missed so far."""

    ready: int = 0
    hits: int = 0
    misses: int = 0


class _Kept(Generic[Ready]):
    """One in the pool; `watch` is done once its sandbox has ended."""

    def __init__(self, warm: Ready, changed: asyncio.Event) -> None:
        self.warm = warm
        self.watch = asyncio.create_task(warm.sandbox.closed())
        self.watch.add_done_callback(lambda _: changed.set())


class Pool(Generic[Kind, Ready]):
    """`make` starts one of a kind and warms it up; it raises SandboxError."""

    def __init__(self, make: Callable[[Kind], Awaitable[Ready]], bounds: Bounds) -> None:
        self._make = make
        self._bounds = bounds
        self._kept: dict[Kind, deque[_Kept[Ready]]] = {}
        self._shelves: dict[Kind, Shelf] = defaultdict(Shelf)
        self._claims: dict[Kind, deque[float]] = defaultdict(lambda: deque(maxlen=bounds.most))
        self._weight_mib = _GUESSED_MIB
        self._retry_at = 0.0
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    async def claim(self, kind: Kind) -> Ready | None:
        """One that runs again, and is the caller's alone; None when there is none, and the caller has to make
        one. Either way, more of this kind will be ready soon."""
        self._claims[kind].append(time.monotonic())
        self.want(kind)
        kept = self._kept[kind]
        while kept:
            warm = self._take(kept)
            try:
                await warm.sandbox.resume()
            except SandboxError:
                self._let_go(warm)
                continue
            except BaseException:
                self._let_go(warm)
                raise
            self._shelves[kind].hits += 1
            return warm
        self._shelves[kind].misses += 1
        return None

    def want(self, kind: Kind) -> None:
        """Have some of this kind ready from now on."""
        self._kept[kind] = self._kept.pop(kind, deque())  # the last one of the dictionary now
        self._changed.set()
        if self._bounds.most and self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    def shelves(self) -> dict[Kind, Shelf]:
        for kind, kept in self._kept.items():
            self._shelves[kind].ready = len(kept)
        return dict(self._shelves)

    async def close(self) -> None:
        """End all that were not claimed."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._drain()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                self._sort_out()
                await self._fill()
            except (SandboxError, OSError) as error:
                self._retry_at = time.monotonic() + _RETRY_SECONDS
                _LOG.warning("no sandbox could be made ahead; the next try is in 30 s: %s", error)

    def _sort_out(self) -> None:
        """Let go of those that have ended, of those that are too many, and of all when memory is short."""
        memory = Memory.read()
        if memory.available < self._bounds.memory_share * memory.total:
            self._drain()
        for kind, kept in self._kept.items():
            for one in [one for one in kept if one.watch.done()]:
                kept.remove(one)
                self._let_go(one.warm)
            while len(kept) > self._wanted(kind):
                self._let_go(self._take(kept))

    async def _fill(self) -> None:
        while time.monotonic() >= self._retry_at and (kind := self._neediest()) is not None:
            await asyncio.sleep(_CALM_SECONDS)
            warm = await self._make(kind)
            try:
                await self._put(kind, warm)
            except BaseException:
                self._let_go(warm)
                raise

    async def _put(self, kind: Kind, warm: Ready) -> None:
        used = await warm.sandbox.usage()
        try:
            await warm.sandbox.pause()
        except SandboxGone:
            raise
        except SandboxError:
            _LOG.debug("sandboxes made ahead cannot be paused here: they idle")
        self._weight_mib = used.memory_mib or self._weight_mib
        self._kept[kind].append(_Kept(warm, self._changed))

    def _neediest(self) -> Kind | None:
        """The kind that lacks most, while there is room for one more."""
        count = sum(map(len, self._kept.values()))
        memory = Memory.read()
        share = self._bounds.memory_share * memory.total
        room_for = min(self._bounds.most, int(share / self._weight_mib))
        if count >= room_for or memory.available - self._weight_mib < share:
            return None
        lacks = {kind: self._wanted(kind) - len(kept) for kind, kept in self._kept.items()}
        kind = max(lacks, key=lambda kind: lacks[kind])
        return kind if lacks[kind] > 0 else None

    def _wanted(self, kind: Kind) -> int:
        """Of the kinds asked for last, at least one each; more only as far as that leaves room."""
        kinds = list(self._kept)[-self._bounds.most :]
        if kind not in kinds:
            return 0
        claims = self._claims[kind]
        while claims and claims[0] < time.monotonic() - _DEMAND_SECONDS:
            claims.popleft()
        return max(1, min(len(claims), self._bounds.most - len(kinds) + 1))

    def _take(self, kept: deque[_Kept[Ready]]) -> Ready:
        one = kept.popleft()
        one.watch.cancel()
        return one.warm

    def _drain(self) -> None:
        for kept in self._kept.values():
            while kept:
                self._let_go(self._take(kept))

    def _let_go(self, warm: Ready) -> None:
        leaving = asyncio.create_task(warm.close())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._gone)

    def _gone(self, leaving: asyncio.Task[None]) -> None:
        self._leaving.discard(leaving)
        if not leaving.cancelled() and (error := leaving.exception()) is not None:
            _LOG.warning("a sandbox that was made ahead could not be ended: %s", error)
