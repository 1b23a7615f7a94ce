"""The worker that learns: it makes jobs of what was said, and does them.

Each job is leased to one worker at a time; what a worker may write, it writes in the transaction that moves
the job on, and that fails when the job is another's by then. A crash at any moment repeats at most the
asking.
"""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from innkeeper.engines.extraction.extractor import ExtractionError
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import InnkeeperError, InvalidRequest
from innkeeper.services.memory.learning import planning_store, store
from innkeeper.services.memory.learning.model import Job, JobState, Plan
from innkeeper.services.memory.learning.teacher import JobLost, Teacher

_LOOK_SECONDS = 0.25
# Sessions that are due one soon after the other are looked at together.
_GATHER_SECONDS = 0.05
_CLAIMED = 4  # jobs for each that runs: a claim looks through all that wait
_RETRY_SECONDS = 2.0
_RETRY_MAX_SECONDS = 60.0
# A job that takes its process down with it is given up in the end.
_CRASHES_MAX = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """When jobs are made and how they are done. A job is given up after `attempts`; the wait before the
    second one is `retry_seconds` and doubles from then on. A worker that was not heard of for
    `lease_seconds` is dead, and its jobs are another's."""

    plan: Plan
    running: int
    attempts: int
    retry_seconds: float
    job_seconds: float
    lease_seconds: float


class Worker:
    def __init__(self, database: Database, teacher: Teacher, pace: Pace, clock: Clock) -> None:
        self._database = database
        self._teacher = teacher
        self._pace = pace
        self._clock = clock
        self._name = uuid.uuid4().hex
        self._lease = timedelta(seconds=pace.lease_seconds)
        self._renewed_at = clock.monotonic()
        self._slots = asyncio.Semaphore(pace.running)
        self._running: dict[asyncio.Task[None], str] = {}
        self._woken = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._worker = asyncio.create_task(self._run())

    async def close(self) -> None:
        """What is not finished is done by the next worker, at once."""
        if self._worker is None:
            return
        tasks = [self._worker, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._database.begin() as connection:
            await store.release_jobs(connection, self._name, self._clock.now())

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                wait = await self._look()
            except Exception:
                _log.exception("learning from what was said could not go on; it is tried again")
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if wait:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), wait)

    async def _look(self) -> float:
        """How long to wait, in seconds, before there may be more to do."""
        wait = await self._plan()
        await self._renew()
        if len(self._running) >= self._pace.running:
            return _LOOK_SECONDS
        for job in await self._claim(_CLAIMED * self._pace.running):
            task = asyncio.create_task(self._do(job))
            self._running[task] = job.id
            task.add_done_callback(self._done)
        return wait

    async def _plan(self) -> float:
        """In how many seconds the next session may be due."""
        now = self._clock.now()
        async with self._database.begin() as connection:
            due = await store.first_due(connection)
        if due is None:
            return _LOOK_SECONDS
        if due > now:
            return min(max((due - now).total_seconds(), _GATHER_SECONDS), _LOOK_SECONDS)
        work = partial(planning_store.make_jobs, now=now, plan=self._pace.plan)
        return 0.0 if await self._database.in_thread(work) else _LOOK_SECONDS

    async def _renew(self) -> None:
        if self._running and self._clock.monotonic() - self._renewed_at > self._pace.lease_seconds / 3:
            self._renewed_at = self._clock.monotonic()
            async with self._database.begin() as connection:
                await store.renew_leases(connection, self._name, self._clock.now() + self._lease)

    async def _claim(self, limit: int) -> Sequence[Job]:
        now = self._clock.now()
        async with self._database.begin() as connection:
            if not await store.is_any_open(connection, now):
                return ()
            busy = list(self._running.values())
            return await store.claim_jobs(connection, self._name, now, self._lease, limit, busy)

    def _done(self, task: "asyncio.Task[None]") -> None:
        del self._running[task]
        self._woken.set()

    async def _do(self, job: Job) -> None:
        """A failure to write even the failure down leaves the job to whoever comes when its lease is out."""
        try:
            await self._attempt(job)
        except JobLost:
            _log.info("job %s of a memory was erased, or is done by another worker", job.id)
        except Exception:
            _log.exception("what became of job %s of a memory could not be written down", job.id)

    async def _attempt(self, job: Job) -> None:
        if job.attempts > self._pace.attempts + _CRASHES_MAX:
            await self._fail(job, job.failure or "it was begun again and again, and never ended")
            return
        try:
            async with self._slots, asyncio.timeout(self._pace.job_seconds):
                await self._teacher.teach(job)
        except TimeoutError:
            await self._try_again(job, f"it took longer than {self._pace.job_seconds:g} seconds")
        except InvalidRequest as error:
            await self._fail(job, error.message)
        except (ExtractionError, InnkeeperError) as error:
            await self._try_again(job, str(error))
        except JobLost:
            raise
        except Exception:
            _log.exception("job %s of a memory failed", job.id)
            await self._try_again(job, "an unexpected failure; the server's log tells more")

    async def _try_again(self, job: Job, failure: str) -> None:
        if job.attempts >= self._pace.attempts:
            await self._fail(job, failure)
            return
        wait = min(self._pace.retry_seconds * 2 ** (job.attempts - 1), _RETRY_MAX_SECONDS)
        not_before = self._clock.now() + timedelta(seconds=wait)
        await self._end(replace(job, state=JobState.PENDING, failure=failure, not_before=not_before))

    async def _fail(self, job: Job, failure: str) -> None:
        await self._end(replace(job, state=JobState.FAILED, failure=failure))

    async def _end(self, job: Job) -> None:
        values = {
            "state": job.state,
            "failure": job.failure,
            "not_before": job.not_before,
            "updated_at": self._clock.now(),
        }
        async with self._database.begin() as connection:
            await store.change_job(connection, job, values)
