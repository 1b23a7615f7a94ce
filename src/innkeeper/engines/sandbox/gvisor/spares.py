"""Sentries made ahead, because that is half of a restore or more: bare ones, in which any image may go on,
and for an image that is restored again and again those that have read all of it but the memory.

A sentry has its mounts from its start, so a spare does only for specs with the same. They are kept for the
kinds that were restored last.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from innkeeper.engines.sandbox.gvisor.lent import Places, size
from innkeeper.engines.sandbox.gvisor.room import GvisorRoom
from innkeeper.engines.sandbox.gvisor.snapshot import Image, fitting
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxSpec

_KINDS = 4
_AHEAD_MAX_BYTES = 256 << 20
"""The memory that spares have ready for the images to come, all together."""
_CALM_SECONDS = 0.25  # whoever has just taken one has its first answer before the next is made


@dataclass(slots=True)
class _Shelf:
    """Of one kind, for `image` alone or for any: `spares` are ready, or being made. The memory of the last
    image of it lay in these `places`."""

    spec: SandboxSpec
    image: Image | None = None
    places: Places = ()
    spares: deque[asyncio.Task[GvisorRoom]] = field(default_factory=deque)


class Spares:
    """`make` gives a spare for specs like this one, urgent or not, with memory ready in these places, bare or
    for an image. Raises SandboxError."""

    def __init__(
        self, make: Callable[[SandboxSpec, bool, Places, Image | None], Awaitable[GvisorRoom]]
    ) -> None:
        self._make = make
        self._shelves: dict[Any, _Shelf] = {}
        self._filling: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def take(self, spec: SandboxSpec, image: Image) -> GvisorRoom | None:
        """One for this image that is ready, or else a bare one that is, or soon is."""
        while shelf := self._best(spec, image):
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

    def fill(self, spec: SandboxSpec, count: int, image: Image | None = None, *, again: bool = False) -> None:
        """Have so many of this kind, and of the others, made in the background, one after the other: for this
        image alone if it will be restored `again`. They are made when it is calm, or soon without an image,
        which is still to come then."""
        if count == 0:
            return
        soon, alone = image is None, image if again else None
        kind = _kind(spec, alone)
        self._shelves[kind] = self._shelves.pop(kind, _Shelf(spec, alone))  # the last of the dictionary now
        if image:
            self._shelves[kind].places = image.places
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
                self._give_up(shelf)  # the next restore says why, if it cannot be made either

    def _best(self, spec: SandboxSpec, image: Image) -> _Shelf | None:
        shelves = [self._shelves.get(kind) for kind in (_kind(spec, image), _kind(spec))]
        begun_and_bare = [shelf for shelf in shelves if shelf and shelf.spares]
        ready = [shelf for shelf in begun_and_bare if shelf.spares[0].done()]
        return next(iter(ready or reversed(begun_and_bare)), None)

    def _lacking(self, count: int) -> _Shelf | None:
        """The one asked for last of those with less than so many."""
        return next((each for each in reversed(self._shelves.values()) if len(each.spares) < count), None)

    async def _made(self, shelf: _Shelf, urgent: bool) -> GvisorRoom:
        fits = not urgent and self._ahead_bytes() + size(shelf.places) <= _AHEAD_MAX_BYTES
        return await self._make(shelf.spec, urgent, shelf.places if fits else (), shelf.image)

    def _ahead_bytes(self) -> int:
        spares = [spare for shelf in self._shelves.values() for spare in shelf.spares]
        return sum(size(spare.result().ahead) for spare in spares if _well_made(spare))

    def _give_up(self, shelf: _Shelf) -> None:
        self._shelves = {kind: each for kind, each in self._shelves.items() if each is not shelf}
        self._retire(shelf)

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


def _kind(spec: SandboxSpec, image: Image | None = None) -> Any:
    mounts = tuple((str(mount.source), mount.target, mount.writable) for mount in spec.mounts)
    alone_for = image.marks if image else ()
    return mounts, tuple(map(str, spec.layers)), str(spec.root), json.dumps(fitting(spec)), alone_for
