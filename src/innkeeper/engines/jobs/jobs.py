"""Durable work: started once under a key, finished even when the server is killed in between."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Payload = Mapping[str, Any]
JobHandler = Callable[[Payload], Awaitable[None]]


class JobState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    key: str
    kind: str
    state: JobState
    error: str | None = None


class Jobs(Protocol):
    def register(self, kind: str, handler: JobHandler) -> None:
        """Say who does the work of a kind; before `open`. A handler may run again after a crash: it must
        be idempotent. It is retried a bounded number of times when it raises."""
        ...

    async def open(self) -> None:
        """Begin to work, first on what an earlier server left unfinished."""
        ...

    async def start(self, kind: str, key: str, payload: Payload) -> None:
        """Durable on return. A second start under the same key does nothing. `payload` is JSON.

        Raises ValueError for a kind that has no handler, or a key that belongs to a job of another kind.
        """
        ...

    async def get(self, key: str) -> Job | None: ...

    async def list(self, kind: str) -> list[Job]:
        """The newest first."""
        ...

    async def cancel(self, key: str) -> None:
        """The handler gets a CancelledError. Nothing happens when the job has ended, or never was."""
        ...

    async def schedule(self, kind: str, cron: str) -> None:
        """Run a kind with an empty payload at the times of a cron line (`engines/jobs/cron.py`), in UTC, once
        each across all workers. Raises ValueError for a line that is none."""
        ...

    async def close(self) -> None:
        """End the handlers that run; where jobs are durable, theirs go on after the next `open`."""
        ...
