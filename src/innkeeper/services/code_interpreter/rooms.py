"""Making the sandbox of a session, with what its cells need, or taking one that is ready."""

import asyncio
import contextlib
import logging
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from innkeeper.engines.sandbox import authorities
from innkeeper.engines.sandbox.pool import Bounds, Pool
from innkeeper.engines.sandbox.sandbox import (
    Limits,
    Mount,
    Network,
    Preload,
    Relay,
    Sandbox,
    SandboxDriver,
    SandboxError,
    SandboxSpec,
)
from innkeeper.engines.sandbox.trust import Trust
from innkeeper.kernel.errors import InvalidRequest, Unavailable
from innkeeper.kernel.ids import random_suffix
from innkeeper.services.builder.model import DENO_FOLDER, TASK_FOLDER, Build, BuildFailed
from innkeeper.services.builder.service import Builder
from innkeeper.services.code_interpreter.golden import GoldenSnapshots
from innkeeper.services.code_interpreter.kernels import Cell
from innkeeper.services.code_interpreter.model import WORKING_FOLDER, CodeInterpreter
from innkeeper.services.code_interpreter.results import ToolFailed
from innkeeper.services.code_interpreter.room import PROGRAMS, Room
from innkeeper.services.code_interpreter.template import Templates

INSIDE = Path(__file__).parent / "inside"
_LOG = logging.getLogger(__name__)
_BIN = "/opt/innkeeper-bin"
_ID_LENGTH = 20
_ENVIRONMENT = {
    "PATH": f"{_BIN}:{WORKING_FOLDER}/.local/bin:/usr/local/bin:/usr/bin:/bin",
    # What users install themselves goes into their own folder, and counts.
    "PYTHONNOUSERSITE": "",
    "PYTHONUSERBASE": f"{WORKING_FOLDER}/.local",
    "PYTHONUNBUFFERED": "",
    "PIP_USER": "1",
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "DENO_NO_UPDATE_CHECK": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108 (the sandbox's own)
}


class Prepare(StrEnum):
    """What the server makes ready when it starts, before the first session: nothing, the packages, or the
    sandboxes of its pool as well."""

    NOTHING = "nothing"
    PACKAGES = "packages"
    SANDBOXES = "sandboxes"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides about all sessions. `imports` are modules, loaded ahead where they can be."""

    packages: Sequence[str]
    imports: Sequence[str]
    limits: Limits
    sessions: int
    cell_timeout_seconds: float
    shared_kernel: bool  # whether untrusted code may run where only namespaces keep it in
    prepare: Prepare
    pool: Bounds


@dataclass(frozen=True, slots=True)
class Reach:
    """What a session can connect to: `home` is this server."""

    network: Network
    home: bool = False

    @classmethod
    def of(cls, interpreter: CodeInterpreter) -> "Reach":
        network = Network.PUBLIC if interpreter.has_network else Network.NONE
        return cls(network, interpreter.role is not None)


class Rooms:
    """`root` holds the programs that we write for the sandboxes; `home` is the way to this server."""

    def __init__(
        self, driver: SandboxDriver, builder: Builder, root: Path, rules: Rules, home: Relay
    ) -> None:
        self._driver = driver
        self._home = home
        self._builder = builder
        self._programs = root / "bin"
        self.rules = rules
        self._templates = Templates(builder, rules.packages)
        self._golden = GoldenSnapshots(driver, root / "golden", INSIDE, rules.imports)
        self.pool: Pool[Reach, Room] = Pool(self._make_ahead, rules.pool)
        self._trust = Trust(driver, rules.shared_kernel)
        self._preparing: asyncio.Task[None] | None = None

    async def sweep(self) -> None:
        """Remove what a killed server left unfinished."""
        await self._builder.sweep()
        await self._golden.sweep()

    def prepare(self) -> None:
        """Begin to make ready, in the background, what the operator wants before the first session."""
        if self.rules.prepare is not Prepare.NOTHING:
            self._preparing = asyncio.create_task(self._prepare())

    async def open(
        self,
        reach: Reach,
        environment: Mapping[str, str],
        limits: Limits | None = None,
        trusted: bytes = b"",
    ) -> Room:
        """With `limits` in the place of those that all have, and certificates in PEM of authorities that are
        `trusted` as well. Raises InvalidRequest where the operator does not allow it, Unavailable when it
        cannot be done."""
        await self._trust.check()
        room = await self.pool.claim(reach)
        if room is None:
            try:
                room = await self._make(reach)
            except (BuildFailed, SandboxError) as error:
                raise Unavailable(f"The session could not be started: {error}") from error
        if limits is not None and limits != self.rules.limits:
            async with _or_closed(room, "limits could not be set"):
                await room.sandbox.set_limits(limits)
        if trusted:
            async with _or_closed(room, "certificates could not be put in place"):
                environment = {**environment, **await authorities.add(room.sandbox, trusted)}
        room.settle(environment)
        return room

    async def close(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.gather(self._preparing, return_exceptions=True)
        await self.pool.close()
        await self._templates.close()

    async def _prepare(self) -> None:
        try:
            await self._trust.check()
            await self._templates.python.get()
            await self._templates.deno.find()
        except InvalidRequest:
            return  # nobody may start a session: whoever tries is told why
        except (BuildFailed, SandboxError) as error:
            _LOG.warning("the code interpreter could not be made ready: %s", error)
            return
        if self.rules.prepare is Prepare.SANDBOXES:
            for network in Network.NONE, Network.PUBLIC:
                self.pool.want(Reach(network))

    async def _make(self, reach: Reach) -> Room:
        """One whose Python has the modules loaded where there is a golden snapshot or a zygote, else has
        begun to start. Raises BuildFailed, SandboxError."""
        python, spec = await self._planned(reach)
        return (
            await self._copy(python, spec)
            or await self._hatch(python, spec)
            or await self._start(python, spec)
        )

    async def _make_ahead(self, reach: Reach) -> Room:
        """One whose Python has the modules loaded. Raises SandboxError."""
        try:
            python, spec = await self._planned(reach)
        except BuildFailed as error:
            raise SandboxError(str(error)) from error
        copy = await self._copy(python, spec)
        room = copy or await self._hatch(python, spec) or await self._start(python, spec)
        try:
            # A copy has them, but its memory comes from the disk as it is used: here, not in the first cell.
            room.settle({})
            await room.python.run(Cell(imports=tuple(self.rules.imports)))
            await room.python.rest()
            if copy is None:
                await self._golden.keep(spec, room.sandbox, await room.python.process())
        except BaseException as error:
            await asyncio.shield(room.close())
            if isinstance(error, ToolFailed):
                raise SandboxError(str(error)) from error
            raise
        return room

    async def _planned(self, reach: Reach) -> tuple[Build, SandboxSpec]:
        python = await self._templates.python.get()
        await asyncio.to_thread(_write_programs, self._programs, python.launch.argv[0])
        return python, await self._spec(reach, python)

    async def _copy(self, python: Build, spec: SandboxSpec) -> Room | None:
        copy = await self._golden.copy(spec)
        if copy is None:
            return None
        room = self._room(copy.sandbox, python)
        room.python.go_on(copy.process)
        return room

    async def _hatch(self, python: Build, spec: SandboxSpec) -> Room | None:
        program = Preload(python.launch.argv[0], f"{PROGRAMS}/warm_kernel.py", tuple(self.rules.imports))
        hatched = await self._driver.hatch(spec, program)
        if hatched is None:
            return None
        sandbox, process = hatched
        room = self._room(sandbox, python)
        room.python.go_on(process)
        return room

    async def _start(self, python: Build, spec: SandboxSpec) -> Room:
        room = self._room(await self._driver.create(spec), python)
        try:
            await room.python.warm()
        except BaseException:
            await asyncio.shield(room.close())
            raise
        return room

    def _room(self, sandbox: Sandbox, python: Build) -> Room:
        return Room(sandbox, python.launch.argv[0], self._templates, self.rules.cell_timeout_seconds)

    async def _spec(self, reach: Reach, python: Build) -> SandboxSpec:
        folders = set(python.launch.mounts)
        with contextlib.suppress(BuildFailed):  # told to whoever runs a cell of JavaScript
            folders.update((await self._templates.node.get()).launch.mounts)
        programs = [Mount(self._programs, _BIN)]
        if deno := await self._templates.deno.find():
            folders.update(deno.launch.mounts)
            programs.append(Mount(deno.path, DENO_FOLDER))
        return SandboxSpec(
            id=f"code-{random_suffix(_ID_LENGTH)}",  # not the session's: one from the pool has none yet
            mounts=[
                Mount(python.path, TASK_FOLDER),
                Mount(INSIDE, PROGRAMS),
                *programs,
                *(Mount(folder, str(folder)) for folder in sorted(folders)),
            ],
            environment={**python.launch.environment, **_ENVIRONMENT},
            limits=self.rules.limits,
            network=reach.network,
            relays=[self._home] if reach.home else [],
            working_directory=WORKING_FOLDER,
        )


@contextlib.asynccontextmanager
async def _or_closed(room: Room, problem: str) -> AsyncIterator[None]:
    """What a room needs before it is anybody's. Raises Unavailable."""
    try:
        yield
    except BaseException as error:
        await asyncio.shield(room.close())
        if isinstance(error, SandboxError | OSError):
            raise Unavailable(f"The session's {problem}: {error}") from error
        raise


def _write_programs(folder: Path, python: str) -> None:
    """`python`, `pip` and `aws` as people call them, whatever the interpreter is called, wherever it lies."""
    folder.mkdir(parents=True, exist_ok=True)
    programs = {"python": "", "python3": "", "pip": "-m pip", "pip3": "-m pip", "aws": "-m awscli"}
    for name, arguments in programs.items():
        text = f'#!/bin/sh\nexec {shlex.quote(python)} {arguments} "$@"\n'
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o755)
