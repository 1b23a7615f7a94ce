"""The `auto` driver: gvisor where it can be used, else bubblewrap. It looks once, when it is first needed."""

import asyncio
import logging
from pathlib import Path

from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver
from innkeeper.engines.sandbox.sandbox import Capabilities, Sandbox, SandboxDriver, SandboxSpec

_log = logging.getLogger(__name__)


class AutoDriver:
    """`state_dir` belongs to this driver; at most one server at a time should use it."""

    name = "auto"

    def __init__(self, state_dir: Path) -> None:
        self._gvisor: SandboxDriver = GvisorDriver(state_dir / "gvisor")
        self._bubblewrap: SandboxDriver = BubblewrapDriver(state_dir)
        self._choosing = asyncio.Lock()
        self._chosen: SandboxDriver | None = None

    async def probe(self) -> Capabilities:
        """Those of the driver that is used."""
        return await (await self._choice()).probe()

    async def create(self, spec: SandboxSpec) -> Sandbox:
        return await (await self._choice()).create(spec)

    async def restore(self, folder: Path, spec: SandboxSpec) -> Sandbox:
        return await (await self._choice()).restore(folder, spec)

    async def reap(self) -> list[str]:
        """What an earlier server left with either driver."""
        return [*await self._gvisor.reap(), *await self._bubblewrap.reap()]

    async def close(self) -> None:
        await asyncio.gather(self._gvisor.close(), self._bubblewrap.close())

    async def _choice(self) -> SandboxDriver:
        async with self._choosing:
            if self._chosen is None:
                self._chosen = await self._look()
        return self._chosen

    async def _look(self) -> SandboxDriver:
        found = await self._gvisor.probe()
        if found.usable:
            _log.info("sandboxes by gvisor: each has a kernel of its own")
            return self._gvisor
        _log.info("sandboxes by bubblewrap, on the host's kernel; %s", "; ".join(found.problems))
        return self._bubblewrap
