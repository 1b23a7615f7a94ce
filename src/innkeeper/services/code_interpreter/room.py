"""A session's sandbox and what works in it."""

from collections.abc import Mapping

from innkeeper.engines.sandbox.sandbox import Sandbox
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.code_interpreter.commands import RunningCommand
from innkeeper.services.code_interpreter.files import Files
from innkeeper.services.code_interpreter.kernels import Kernel
from innkeeper.services.code_interpreter.results import ToolFailed
from innkeeper.services.code_interpreter.tasks import Tasks
from innkeeper.services.code_interpreter.template import Templates

PROGRAMS = "/opt/innkeeper"
"""Where what `inside/` holds lies in the sandbox."""


class Room:
    """Of one session, or in the pool of nobody yet: then it gets its session by `settle`."""

    def __init__(self, sandbox: Sandbox, python: str, templates: Templates, timeout_seconds: float) -> None:
        self.sandbox = sandbox
        self.timeout_seconds = timeout_seconds
        self.tasks = Tasks(self.command)
        self.files = Files(sandbox, (python, f"{PROGRAMS}/files.py"))
        self.python = self._kernel(python, python, "python_worker.py")
        self._python = python
        self._templates = templates
        self._node: Kernel | None = None
        self._environment: Mapping[str, str] = {}

    def settle(self, environment: Mapping[str, str]) -> None:
        """Make it the session's own, with these variables and random numbers of its own."""
        self._environment = environment
        self.python.settle(environment)

    async def node(self) -> Kernel:
        """Raises ToolFailed where the server has no Node.js."""
        if self._node is None:
            try:
                node = await self._templates.node.get()
            except BuildFailed as error:
                raise ToolFailed(error.message) from error
            if self._node is None:
                self._node = self._kernel(self._python, node.launch.argv[0], "node_worker.js")
                self._node.settle(self._environment)
        return self._node

    async def command(self, command: str) -> RunningCommand:
        return await RunningCommand.start(self.sandbox, command, self._environment)

    async def close(self) -> None:
        await self.sandbox.kill()
        await self.tasks.close()
        for kernel in (self.python, self._node):
            if kernel is not None:
                kernel.close()

    def _kernel(self, python: str, interpreter: str, worker: str) -> Kernel:
        argv = (python, f"{PROGRAMS}/kernel.py", interpreter, f"{PROGRAMS}/{worker}")
        return Kernel(self.sandbox, argv, self.timeout_seconds)
