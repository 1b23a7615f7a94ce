"""A session's sandbox and what works in it."""

from collections.abc import Mapping

from innkeeper.engines.sandbox.sandbox import Sandbox
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.code_interpreter.commands import RunningCommand
from innkeeper.services.code_interpreter.files import Files
from innkeeper.services.code_interpreter.kernels import Kernel
from innkeeper.services.code_interpreter.results import ToolFailed
from innkeeper.services.code_interpreter.tasks import Tasks
from innkeeper.services.code_interpreter.template import Template, Templates

PROGRAMS = "/opt/innkeeper"
"""Where what `inside/` holds lies in the sandbox."""

_ALONE = ("-I", "-S")
"""How Python runs those of them that run none of the user's code: it loads nothing that users install."""


class Room:
    """Of one session, or in the pool of nobody yet: then it gets its session by `settle`."""

    def __init__(self, sandbox: Sandbox, python: str, templates: Templates, timeout_seconds: float) -> None:
        self.sandbox = sandbox
        self.timeout_seconds = timeout_seconds
        self.tasks = Tasks(self.command)
        self._ours = (python, *_ALONE)
        self.files = Files(sandbox, (*self._ours, f"{PROGRAMS}/files.py"))
        self.python = self._kernel(python, f"{PROGRAMS}/python_worker.py")
        self._templates = templates
        self._scripts: dict[Template, Kernel] = {}
        self._environment: Mapping[str, str] = {}

    def settle(self, environment: Mapping[str, str]) -> None:
        """Make it the session's own, with these variables and random numbers of its own."""
        self._environment = environment
        self.python.settle(environment)

    async def script(self, runtime: str | None) -> Kernel:
        """That of JavaScript and TypeScript on `deno` or `nodejs`; where it is all the same, on Deno if the
        server has it. Raises ToolFailed where the server has not what it takes."""
        deno = self._templates.deno
        if runtime == "deno" or (runtime is None and await deno.find()):
            return await self._script(deno, "run", "--allow-all", "--no-config", f"{PROGRAMS}/deno_worker.js")
        return await self._script(self._templates.node, f"{PROGRAMS}/node_worker.js")

    async def _script(self, template: Template, *arguments: str) -> Kernel:
        try:
            build = await template.get()
        except BuildFailed as error:
            raise ToolFailed(error.message) from error
        if template not in self._scripts:
            self._scripts[template] = kernel = self._kernel(build.launch.argv[0], *arguments)
            kernel.settle(self._environment)
        return self._scripts[template]

    async def command(self, command: str) -> RunningCommand:
        return await RunningCommand.start(self.sandbox, command, self._environment)

    async def close(self) -> None:
        await self.sandbox.kill()
        await self.tasks.close()
        for kernel in (self.python, *self._scripts.values()):
            kernel.close()

    def _kernel(self, *worker: str) -> Kernel:
        argv = (*self._ours, f"{PROGRAMS}/kernel.py", *worker)
        return Kernel(self.sandbox, argv, self.timeout_seconds)
