"""The interpreters that cells run on, with their packages: made once, mounted read-only by every session."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from innkeeper.services.builder.model import Build, BuildFailed
from innkeeper.services.builder.service import Builder

_LOG = logging.getLogger(__name__)


class Template:
    """One language. `make` builds what it takes."""

    def __init__(self, name: str, make: Callable[[], Awaitable[Build]]) -> None:
        self._name = name
        self._make = make
        self._building: asyncio.Task[Build] | None = None

    async def get(self) -> Build:
        """Found, or made now: the first time may take minutes. Raises BuildFailed; the next call tries anew.

        A caller who gives up does not end the work for the others.
        """
        building = self._building
        if building is None or (building.done() and (building.cancelled() or building.exception())):
            self._building = building = asyncio.create_task(self._build())
        return await asyncio.shield(building)

    async def find(self) -> Build | None:
        """As it was when it was first asked for: None, where it could not be had. So all agree on it who need
        it in a sandbox that was made with it or without."""
        self._building = self._building or asyncio.create_task(self._build())
        try:
            return await asyncio.shield(self._building)
        except BuildFailed:
            return None

    async def close(self) -> None:
        if self._building is not None:
            self._building.cancel()
            await asyncio.gather(self._building, return_exceptions=True)

    async def _build(self) -> Build:
        _LOG.info("preparing the code interpreter's %s with its packages", self._name)
        build = await self._make()
        _LOG.info("the code interpreter's %s is ready", self._name)
        return build


class Templates:
    def __init__(self, builder: Builder, packages: Sequence[str]) -> None:
        files = {"start.py": "", "requirements.txt": "\n".join(packages)}
        self.python = Template("Python", partial(builder.prepare, files, "PYTHON_3_12", "start.py"))
        self.node = Template("Node.js", partial(builder.prepare, {"start.js": ""}, "NODE_22", "start.js"))
        self.deno = Template("Deno", builder.deno)

    async def close(self) -> None:
        await asyncio.gather(self.python.close(), self.node.close(), self.deno.close())
