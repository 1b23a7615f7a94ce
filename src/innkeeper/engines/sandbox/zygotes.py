"""The zygotes of a driver: one for each program and view, made when first missed, and anew when it has ended.

Nobody waits for one. Of those that would be too many, the ones that were asked for longest ago end; what was
hatched goes on without them.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from innkeeper.engines.sandbox.sandbox import Preload, SandboxError, SandboxSpec
from innkeeper.engines.sandbox.zygote import Zygote

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Kept:
    making: asyncio.Task[Zygote | None]
    began: float

    @property
    def zygote(self) -> Zygote | None:
        """If it is there, and alive."""
        if not self.making.done() or self.making.cancelled():
            return None
        made = self.making.result()
        return made if made is not None and made.alive else None

    @property
    def spent(self) -> bool:
        """Whether it is time for another in its place."""
        if not self.making.done() or self.zygote is not None:
            return False
        failed = self.making.cancelled() or self.making.result() is None
        return not failed or time.monotonic() > self.began + _RETRY_SECONDS


class Zygotes:
    """`load` makes one; it raises SandboxError."""

    def __init__(self, load: Callable[[SandboxSpec, Preload], Awaitable[Zygote]]) -> None:
        self._load = load
        self._kept: dict[str, _Kept] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def ready(self, spec: SandboxSpec, preload: Preload, most: int) -> Zygote | None:
        """One whose processes fit into such a sandbox; if there is none, it is begun. At most `most` stay."""
        key = _key(spec, preload)
        kept = self._kept.pop(key, None)
        if most and (kept is None or kept.spent):
            kept = _Kept(asyncio.create_task(self._made(spec, preload)), time.monotonic())
        if kept is not None:
            self._kept[key] = kept  # the last one of the dictionary now
        while len(self._kept) > most:
            self._let_go(self._kept.pop(next(iter(self._kept))))
        return kept.zygote if most and kept is not None else None

    async def close(self) -> None:
        """End all of them."""
        while self._kept:
            self._let_go(self._kept.popitem()[1])
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _made(self, spec: SandboxSpec, preload: Preload) -> Zygote | None:
        try:
            return await self._load(spec, preload)
        except SandboxError as error:
            _LOG.info("no zygote, so that sandboxes take longer to be ready: %s", error)
            return None

    def _let_go(self, kept: _Kept) -> None:
        leaving = asyncio.create_task(_end(kept))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


async def _end(kept: _Kept) -> None:
    kept.making.cancel()
    await asyncio.gather(kept.making, return_exceptions=True)
    if kept.zygote is not None:
        await kept.zygote.kill()


def _key(spec: SandboxSpec, preload: Preload) -> str:
    """All that a zygote sees, knows and has."""
    mounts = [mount for mount in spec.mounts if not mount.writable]
    environment = sorted(spec.environment.items())
    return repr((preload, mounts, environment, [*spec.layers], spec.root, spec.limits, [*spec.folders]))
