"""Making the sandbox of a session, with the programs and packages that its cells need."""

import asyncio
import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import (
    Isolation,
    Limits,
    Mount,
    Network,
    Sandbox,
    SandboxDriver,
    SandboxError,
    SandboxSpec,
)
from innkeeper.kernel.errors import InvalidRequest, Unavailable
from innkeeper.services.builder.model import TASK_FOLDER, Build, BuildFailed
from innkeeper.services.builder.service import Builder
from innkeeper.services.code_interpreter.commands import RunningCommand
from innkeeper.services.code_interpreter.files import Files
from innkeeper.services.code_interpreter.kernels import Kernel
from innkeeper.services.code_interpreter.model import WORKING_FOLDER
from innkeeper.services.code_interpreter.results import ToolFailed
from innkeeper.services.code_interpreter.tasks import Tasks
from innkeeper.services.code_interpreter.template import Template

INSIDE = Path(__file__).parent / "inside"
_PROGRAMS = "/opt/innkeeper"
_BIN = "/opt/innkeeper-bin"
_ENVIRONMENT = {
    "PATH": f"{_BIN}:{WORKING_FOLDER}/.local/bin:/usr/local/bin:/usr/bin:/bin",
    # What users install themselves goes into their own folder, and counts.
    "PYTHONNOUSERSITE": "",
    "PYTHONUSERBASE": f"{WORKING_FOLDER}/.local",
    "PYTHONUNBUFFERED": "",
    "PIP_USER": "1",
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108 (the sandbox's own)
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides about all sessions."""

    packages: Sequence[str]
    limits: Limits
    sessions: int
    cell_timeout_seconds: float
    shared_kernel: bool  # whether untrusted code may run where only namespaces keep it in


class Room:
    """A session's sandbox and what works in it."""

    def __init__(self, sandbox: Sandbox, python: str, templates: "Templates", timeout_seconds: float) -> None:
        self.sandbox = sandbox
        self.timeout_seconds = timeout_seconds
        self.tasks = Tasks(sandbox)
        self.files = Files(sandbox, (python, f"{_PROGRAMS}/files.py"))
        self.python = self._kernel(python, python, "python_worker.py")
        self._python = python
        self._templates = templates
        self._node: Kernel | None = None

    async def node(self) -> Kernel:
        """Raises ToolFailed where the server has no Node.js."""
        if self._node is None:
            try:
                node = await self._templates.node.get()
            except BuildFailed as error:
                raise ToolFailed(error.message) from error
            self._node = self._node or self._kernel(self._python, node.launch.argv[0], "node_worker.js")
        return self._node

    async def command(self, command: str) -> RunningCommand:
        return await RunningCommand.start(self.sandbox, command)

    async def close(self) -> None:
        await self.sandbox.kill()
        await self.tasks.close()
        for kernel in (self.python, self._node):
            if kernel is not None:
                kernel.close()

    def _kernel(self, python: str, interpreter: str, worker: str) -> Kernel:
        argv = (python, f"{_PROGRAMS}/kernel.py", interpreter, f"{_PROGRAMS}/{worker}")
        return Kernel(self.sandbox, argv, self.timeout_seconds)


class Templates:
    def __init__(self, builder: Builder, packages: Sequence[str]) -> None:
        files = {"start.py": "", "requirements.txt": "\n".join(packages)}
        self.python = Template(builder, "PYTHON_3_12", files, "start.py")
        self.node = Template(builder, "NODE_22", {"start.js": ""}, "start.js")

    async def close(self) -> None:
        await asyncio.gather(self.python.close(), self.node.close())


class Rooms:
    """`root` holds the programs that we write for the sandboxes."""

    def __init__(self, driver: SandboxDriver, builder: Builder, root: Path, rules: Rules) -> None:
        self._driver = driver
        self._builder = builder
        self._programs = root / "bin"
        self.rules = rules
        self._templates = Templates(builder, rules.packages)
        self._checked = False

    async def sweep(self) -> None:
        """Remove what a killed server left unfinished."""
        await self._builder.sweep()

    async def open(self, session_id: str, has_network: bool) -> Room:
        """Raises InvalidRequest where the operator does not allow it, Unavailable when it cannot be done."""
        await self._check_isolation()
        try:
            python = await self._templates.python.get()
            await asyncio.to_thread(_write_programs, self._programs, python.launch.argv[0])
            sandbox = await self._driver.create(await self._spec(session_id, has_network, python))
            room = Room(sandbox, python.launch.argv[0], self._templates, self.rules.cell_timeout_seconds)
        except (BuildFailed, SandboxError) as error:
            raise Unavailable(f"The session could not be started: {error}") from error
        try:
            await room.python.warm()
        except BaseException as error:
            await asyncio.shield(sandbox.kill())
            if isinstance(error, SandboxError):
                raise Unavailable(f"The session could not be started: {error}") from error
            raise
        return room

    async def close(self) -> None:
        await self._templates.close()

    async def _check_isolation(self) -> None:
        if self._checked or self.rules.shared_kernel:
            return
        if (await self._driver.probe()).isolation is Isolation.KERNEL_SHARED:
            raise InvalidRequest(
                "This server's sandboxes share the kernel with the host, which is too weak a wall for code "
                "of strangers. If you trust whoever may start sessions, allow it with the setting "
                "INNKEEPER_UNTRUSTED_CODE_IN_NAMESPACES=true"
            )
        self._checked = True

    async def _spec(self, session_id: str, has_network: bool, python: Build) -> SandboxSpec:
        folders = set(python.launch.mounts)
        with contextlib.suppress(BuildFailed):  # told to whoever runs a cell of JavaScript
            folders.update((await self._templates.node.get()).launch.mounts)
        return SandboxSpec(
            id=session_id,
            mounts=[
                Mount(python.path, TASK_FOLDER),
                Mount(INSIDE, _PROGRAMS),
                Mount(self._programs, _BIN),
                *(Mount(folder, str(folder)) for folder in sorted(folders)),
            ],
            environment={**python.launch.environment, **_ENVIRONMENT},
            limits=self.rules.limits,
            network=Network.PUBLIC if has_network else Network.NONE,
            working_directory=WORKING_FOLDER,
        )


def _write_programs(folder: Path, python: str) -> None:
    """`python` and `pip` as people call them, whatever the interpreter is called and wherever it lies."""
    folder.mkdir(parents=True, exist_ok=True)
    programs = {"python": "", "python3": "", "pip": "-m pip", "pip3": "-m pip"}
    for name, arguments in programs.items():
        text = f'#!/bin/sh\nexec {shlex.quote(python)} {arguments} "$@"\n'
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o755)
