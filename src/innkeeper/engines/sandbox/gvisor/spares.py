"""Bare sentries: gVisor sandboxes with nothing in them yet, made ahead because that is half of a restore.

A sentry has its mounts from its start, so a spare does only for specs with the same. They are made for what
was restored last.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from innkeeper.engines.sandbox.gvisor.room import GvisorRoom
from innkeeper.engines.sandbox.gvisor.snapshot import fitting
from innkeeper.engines.sandbox.sandbox import Network, SandboxError, SandboxSpec


class Spares:
    """`make` gives a spare for specs like this one. Raises SandboxError."""

    def __init__(self, make: Callable[[SandboxSpec], Awaitable[GvisorRoom]]) -> None:
        self._make = make
        self._ready: list[GvisorRoom] = []
        self._kind: Any = None
        self._filling: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def take(self, spec: SandboxSpec) -> GvisorRoom | None:
        while self._ready and self._kind == _kind(spec):
            spare = self._ready.pop()
            if spare.alive:
                return spare
        return None

    def refill(self, spec: SandboxSpec, count: int) -> None:
        """In the background, one after the other, so that what was asked for goes before."""
        if spec.network is not Network.NONE or (self._filling and not self._filling.done()):
            return
        if self._kind != _kind(spec):
            for spare in self._ready:
                retiring = asyncio.create_task(spare.kill())
                self._retiring.add(retiring)
                retiring.add_done_callback(self._retiring.discard)
            self._ready = []
            self._kind = _kind(spec)
        self._filling = asyncio.create_task(self._fill(spec, count))

    async def close(self) -> None:
        """Make no more; those that are there are ended with the driver's other rooms."""
        if self._filling:
            self._filling.cancel()
            await asyncio.wait({self._filling})
        self._ready.clear()

    async def _fill(self, spec: SandboxSpec, count: int) -> None:
        with contextlib.suppress(SandboxError):  # the next restore says why, if it cannot be made either
            while len(self._ready) < count:
                self._ready.append(await self._make(spec))


def _kind(spec: SandboxSpec) -> Any:
    return fitting(spec), [str(mount.source) for mount in spec.mounts], list(map(str, spec.layers))
