"""Jobs as tasks of this process, at once and only in memory: for tests."""

import asyncio
import json
from dataclasses import replace

from innkeeper.engines.jobs.jobs import Job, JobHandler, JobState, Payload
from innkeeper.engines.jobs.retries import Retries
from innkeeper.engines.jobs.schedules import Schedules

_RETRIES = Retries(attempts=3, delay_seconds=0.01)


class InlineJobs:
    """At most `max_running` handlers run at once; the other jobs wait."""

    def __init__(self, retries: Retries = _RETRIES, max_running: int = 16) -> None:
        self._retries = retries
        self._slots = asyncio.Semaphore(max_running)
        self._handlers: dict[str, JobHandler] = {}
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._schedules = Schedules(self.start)
        self._is_open = False

    def register(self, kind: str, handler: JobHandler) -> None:
        self._handlers[kind] = handler

    async def open(self) -> None:
        self._is_open = True
        self._schedules.open()

    async def start(self, kind: str, key: str, payload: Payload) -> None:
        if not self._is_open:
            raise RuntimeError("the jobs are not open")
        if kind not in self._handlers:
            raise ValueError(f"no handler is registered for jobs of kind {kind!r}")
        document = json.dumps(payload)
        if key in self._jobs:
            if self._jobs[key].kind != kind:
                raise ValueError(f"the key {key!r} belongs to a job of kind {self._jobs[key].kind!r}")
            return
        self._jobs[key] = Job(key, kind, JobState.PENDING)
        self._tasks[key] = asyncio.create_task(self._work(key, json.loads(document)))
        self._tasks[key].add_done_callback(lambda _task: self._tasks.pop(key, None))

    async def get(self, key: str) -> Job | None:
        return self._jobs.get(key)

    async def list(self, kind: str) -> list[Job]:
        return [job for job in reversed(self._jobs.values()) if job.kind == kind]

    async def cancel(self, key: str) -> None:
        if key in self._tasks:
            self._become(key, JobState.CANCELLED)
            self._tasks[key].cancel()

    async def schedule(self, kind: str, cron: str) -> None:
        self._schedules.add(kind, cron)

    async def close(self) -> None:
        self._is_open = False
        await self._schedules.close()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _become(self, key: str, state: JobState, error: str | None = None) -> None:
        self._jobs[key] = replace(self._jobs[key], state=state, error=error)

    async def _work(self, key: str, payload: Payload) -> None:
        state, told = JobState.DONE, None
        async with self._slots:
            self._become(key, JobState.RUNNING)
            try:
                await self._retries.run(key, self._handlers[self._jobs[key].kind], payload)
            except Exception as error:
                state, told = JobState.FAILED, f"{type(error).__name__}: {error}"
        # A handler may end on its own terms after it was cancelled.
        if self._jobs[key].state is JobState.RUNNING:
            self._become(key, state, told)
