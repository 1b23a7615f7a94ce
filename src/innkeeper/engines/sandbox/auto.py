"""The `auto` driver: gvisor where it can be used, else bubblewrap. It looks once, when first asked."""

import asyncio
from dataclasses import replace
from pathlib import Path

from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver
from innkeeper.engines.sandbox.sandbox import (
    Capabilities,
    Preload,
    Process,
    Sandbox,
    SandboxDriver,
    SandboxSpec,
)


class AutoDriver:
    """`state_dir` belongs to this driver; at most one server at a time should use it."""

    def __init__(self, state_dir: Path) -> None:
        self._gvisor: SandboxDriver = GvisorDriver(state_dir / "gvisor")
        self._bubblewrap: SandboxDriver = BubblewrapDriver(state_dir)
        self.spares = 0
        self.zygotes = 0
        self._choosing = asyncio.Lock()
        self._chosen: tuple[SandboxDriver, Capabilities] | None = None

    @property
    def name(self) -> str:
        """That of the driver that is used, once it is known."""
        return self._chosen[0].name if self._chosen else "auto"

    async def probe(self) -> Capabilities:
        """Those of the driver that is used, and why it is not the stronger one; found once."""
        _, capabilities = await self._choice()
        return capabilities

    async def create(self, spec: SandboxSpec) -> Sandbox:
        driver, _ = await self._choice()
        return await driver.create(spec)

    async def hatch(self, spec: SandboxSpec, preload: Preload) -> tuple[Sandbox, Process] | None:
        driver, _ = await self._choice()
        driver.zygotes = self.zygotes
        return await driver.hatch(spec, preload)

    def expect(self, spec: SandboxSpec) -> None:
        if self._chosen is not None:
            self._chosen[0].spares = self.spares
            self._chosen[0].expect(spec)

    async def restore(self, folder: Path, spec: SandboxSpec, *, again: bool = False) -> Sandbox:
        driver, _ = await self._choice()
        driver.spares = self.spares
        return await driver.restore(folder, spec, again=again)

    async def reap(self) -> list[str]:
        """What an earlier server left with either driver."""
        return [*await self._gvisor.reap(), *await self._bubblewrap.reap()]

    async def close(self) -> None:
        await asyncio.gather(self._gvisor.close(), self._bubblewrap.close())

    async def _choice(self) -> tuple[SandboxDriver, Capabilities]:
        async with self._choosing:
            if self._chosen is None:
                self._chosen = await self._look()
        return self._chosen

    async def _look(self) -> tuple[SandboxDriver, Capabilities]:
        stronger = await self._gvisor.probe()
        if stronger.usable:
            return self._gvisor, stronger
        found = await self._bubblewrap.probe()
        reasons = (f"no gvisor: {problem}" for problem in stronger.problems)
        return self._bubblewrap, replace(found, problems=(*reasons, *found.problems))
