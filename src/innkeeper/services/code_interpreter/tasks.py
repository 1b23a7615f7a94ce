"""Commands that go on in the background: started, looked at, stopped."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from innkeeper.engines.sandbox.sandbox import SandboxError
from innkeeper.kernel.call import Document
from innkeeper.kernel.ids import random_suffix
from innkeeper.services.code_interpreter import results
from innkeeper.services.code_interpreter.commands import RunningCommand
from innkeeper.services.code_interpreter.results import ToolFailed

_RUNNING_MAX = 32
_KEPT_MAX = 50
_STOP_SECONDS = 5.0


class TaskStatus(StrEnum):
    WORKING = "working"
    COMPLETED = "completed"
    CANCELED = "canceled"
    FAILED = "failed"


class Task:
    def __init__(self, command: RunningCommand) -> None:
        self.id = random_suffix(24)
        self.command = command
        self.canceled = False
        self.watch = asyncio.create_task(self._watch())

    @property
    def status(self) -> TaskStatus:
        if not self.watch.done():
            return TaskStatus.WORKING
        if self.canceled:
            return TaskStatus.CANCELED
        return TaskStatus.COMPLETED if self.command.code == 0 else TaskStatus.FAILED

    async def _watch(self) -> None:
        try:
            await self.command.wait()
        except SandboxError:
            self.canceled = True  # the session ended

    def result(self) -> Document:
        """With what it has printed so far. The text names the task too: some clients show nothing else."""
        stdout, stderr = self.command.stdout.text(), self.command.stderr.text()
        structured = {
            "taskId": self.id,
            "taskStatus": self.status,
            "stdout": stdout,
            "stderr": stderr,
            "exitCode": self.command.code,
            "executionTime": self.command.milliseconds,
        }
        content = [
            results.text(part) for part in (f"Task {self.id} is {self.status}", stdout, stderr) if part
        ]
        failed = self.status is TaskStatus.FAILED
        return {"content": content, "structuredContent": structured, "isError": failed}


class Tasks:
    """Those of one session. Of ended ones the newest are kept. Raises ToolFailed for an unknown id."""

    def __init__(self, begin: Callable[[str], Awaitable[RunningCommand]]) -> None:
        self._begin = begin
        self._tasks: dict[str, Task] = {}

    async def start(self, command: str) -> Document:
        running = [task for task in self._tasks.values() if not task.watch.done()]
        if len(running) >= _RUNNING_MAX:
            raise ToolFailed(f"{_RUNNING_MAX} tasks are running already; stop one with stopTask")
        task = Task(await self._begin(command))
        self._tasks[task.id] = task
        ended = [id_ for id_, task in self._tasks.items() if task.watch.done()]
        for id_ in ended[: max(0, len(self._tasks) - _KEPT_MAX)]:
            del self._tasks[id_]
        return task.result()

    def get(self, task_id: str) -> Document:
        return self._find(task_id).result()

    async def stop(self, task_id: str) -> Document:
        """One that has ended stays as it is."""
        task = self._find(task_id)
        if not task.watch.done():
            task.canceled = True
            await task.command.kill()
            await asyncio.wait([task.watch], timeout=_STOP_SECONDS)
        return task.result()

    async def close(self) -> None:
        """To be called when the sandbox has ended."""
        await asyncio.gather(*(task.watch for task in self._tasks.values()))

    def _find(self, task_id: str) -> Task:
        task = self._tasks.get(task_id)
        if task is None:
            raise ToolFailed(f"There is no task {task_id[:80]} in this session")
        return task
