"""Bare sentries: gVisor sandboxes with nothing in them yet, made ahead because that is half of a restore.

A sentry has its mounts from its start, so a spare does only for specs with the same. They are kept for the
kinds that were restored last.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from innkeeper.engines.sandbox.gvisor.room import GvisorRoom
from innkeeper.engines.sandbox.gvisor.snapshot import fitting
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxSpec

_KINDS = 4
_AHEAD_MAX_BYTES = 256 << 20
"""The memory that spares have ready for the images to come, all together."""
_CALM_SECONDS = 0.25  # whoever has just taken one has its first answer before the next is made


@dataclass(slots=True)
class _Shelf:
    """Of one kind: `spares` are ready, or being made. The last image of it had so much memory."""

    spec: SandboxSpec
    image_bytes: int = 0
    spares: deque[asyncio.Task[GvisorRoom]] = field(default_factory=deque)


class Spares:
    """`make` gives a spare for specs like this one, urgent or not, with so many bytes of memory ready. Raises
    SandboxError."""

    def __init__(self, make: Callable[[SandboxSpec, bool, int], Awaitable[GvisorRoom]]) -> None:
        self._make = make
        self._shelves: dict[Any, _Shelf] = {}
        self._filling: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def take(self, spec: SandboxSpec) -> GvisorRoom | None:
        """One that is ready, or soon is."""
        shelf = self._shelves.get(_kind(spec))
        while shelf and shelf.spares:
            spare = shelf.spares.popleft()
            try:
                room = await asyncio.shield(spare)
            except SandboxError:
                continue
            except asyncio.CancelledError:
                if not spare.cancelled():
                    shelf.spares.appendleft(spare)
                raise
            if room.alive:
                return room
        return None

    def fill(self, spec: SandboxSpec, count: int, image_bytes: int = 0, *, soon: bool = False) -> None:
        """Have so many of this kind, and of the others, made in the background, one after the other; when
        it is calm again, unless they are needed `soon`."""
        if count == 0:
            return
        kind = _kind(spec)
        self._shelves[kind] = self._shelves.pop(kind, _Shelf(spec))  # the last of the dictionary now
        self._shelves[kind].image_bytes = image_bytes or self._shelves[kind].image_bytes
        while len(self._shelves) > _KINDS:
            self._retire(self._shelves.pop(next(iter(self._shelves))))
        if self._filling and (soon or self._filling.done()):
            self._filling.cancel()
            self._filling = None
        if self._filling is None:
            self._filling = asyncio.create_task(self._fill(count, soon))

    async def close(self) -> None:
        """End those that are there, and make no more."""
        if self._filling:
            self._filling.cancel()
        while self._shelves:
            self._retire(self._shelves.popitem()[1])
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _fill(self, count: int, soon: bool) -> None:
        await asyncio.sleep(0 if soon else _CALM_SECONDS)
        while shelf := self._lacking(count):
            spare = asyncio.create_task(self._made(shelf, soon and not shelf.spares))
            shelf.spares.append(spare)
            await asyncio.wait({spare})
            soon = False
            if not _well_made(spare):
                return  # the next restore says why, if it cannot be made either

    def _lacking(self, count: int) -> _Shelf | None:
        """The one asked for last of those with less than so many."""
        return next((each for each in reversed(self._shelves.values()) if len(each.spares) < count), None)

    async def _made(self, shelf: _Shelf, urgent: bool) -> GvisorRoom:
        fits = not urgent and self._ahead_bytes() + shelf.image_bytes <= _AHEAD_MAX_BYTES
        return await self._make(shelf.spec, urgent, shelf.image_bytes if fits else 0)

    def _ahead_bytes(self) -> int:
        spares = [spare for shelf in self._shelves.values() for spare in shelf.spares]
        return sum(spare.result().ahead_bytes for spare in spares if _well_made(spare))

    def _retire(self, shelf: _Shelf) -> None:
        for spare in shelf.spares:
            retiring = asyncio.create_task(_end(spare))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)


async def _end(spare: asyncio.Task[GvisorRoom]) -> None:
    spare.cancel()
    await asyncio.wait({spare})
    if _well_made(spare):
        await spare.result().kill()


def _well_made(spare: asyncio.Task[GvisorRoom]) -> bool:
    return spare.done() and not spare.cancelled() and spare.exception() is None


def _kind(spec: SandboxSpec) -> Any:
    mounts = tuple((str(mount.source), mount.target, mount.writable) for mount in spec.mounts)
    return mounts, tuple(map(str, spec.layers)), str(spec.root), json.dumps(fitting(spec))
