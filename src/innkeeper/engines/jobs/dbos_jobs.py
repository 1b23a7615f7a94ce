"""Durable jobs on DBOS (https://docs.dbos.dev), in a SQLite file of their own or in PostgreSQL.

A job is a DBOS workflow whose id is the job's key and whose only step is the handler. It runs in the process
that started it, without a queue: a queue that begins a job as promptly would poll all day. DBOS blocks, so it
lives in threads; handlers run on the event loop that called `open`.

What a dead process left is taken up by its next start under the same executor id (DBOS does that), or else by
another worker on the same database (the open DBOS does not, hence our leases). A worker that only seemed dead
costs a repeated run of a handler, never a wrong result: DBOS lets one of the two record the outcome.
"""

import asyncio
import concurrent.futures
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import ClassVar, ParamSpec, TypeVar

from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID, WorkflowStatus
from dbos import error as dbos_error
from sqlalchemy import make_url

from innkeeper.engines.jobs.jobs import Job, JobHandler, JobState, Payload
from innkeeper.engines.jobs.leases import DEFAULT_LEASE_TIMES, Leases, LeaseTimes
from innkeeper.engines.jobs.retries import DEFAULT_RETRIES, Retries
from innkeeper.engines.jobs.schedules import Schedules
from innkeeper.kernel.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

_LOG = logging.getLogger(__name__)

# DBOS leaves the jobs of another version alone. Ours change only when a job's one step does.
_APPLICATION_VERSION = "1"
_STORE_TIMEOUT_SECONDS = 30.0
_CLOSE_TIMEOUT_SECONDS = 10.0
_LIST_LIMIT = 1000
_FORGET_EVERY_SECONDS = 3600.0
# A job that takes its process down with it is given up after so many tries.
_CRASHES_MAX = 10

_STATES = {
    "DELAYED": JobState.PENDING,
    "ENQUEUED": JobState.PENDING,
    "PENDING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "ERROR": JobState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}


class JobFailed(Exception):
    """What DBOS keeps of a handler's last exception: its type and message."""


class _Interrupted(BaseException):
    """Ends a handler's thread without an outcome. No Exception: DBOS would record that as the outcome."""


class DbosJobs:
    """`url` is a SQLAlchemy URL of SQLite or PostgreSQL; `executor_id` names this worker, the same after a
    restart and different from every other's. DBOS is global to its process: one may be open at a time.

    At most `max_running` handlers run at once; the other jobs wait, in state RUNNING. Ended jobs are
    forgotten after `keep_days`. All calls raise Unavailable when the database does not answer in 30 seconds.
    """

    _open: ClassVar["DbosJobs | None"] = None

    def __init__(
        self,
        url: str,
        executor_id: str,
        *,
        retries: Retries = DEFAULT_RETRIES,
        max_running: int = 16,
        keep_days: float = 30.0,
        lease_times: LeaseTimes = DEFAULT_LEASE_TIMES,
    ) -> None:
        self._url = _synchronous(url)
        self._executor_id = executor_id
        self._retries = retries
        self._max_running = max_running
        self._keep = timedelta(days=keep_days)
        self._lease_times = lease_times
        self._handlers: dict[str, JobHandler] = {}
        self._workflows: dict[str, Callable[[str], None]] = {}
        self._running: dict[asyncio.Task[None], str] = {}
        self._schedules = Schedules(self.start)

    def register(self, kind: str, handler: JobHandler) -> None:
        self._handlers[kind] = handler

    async def open(self) -> None:
        """Raises RuntimeError when jobs on DBOS are open in this process already."""
        if DbosJobs._open:
            raise RuntimeError("jobs on DBOS are open in this process already")
        DbosJobs._open = self
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="jobs")
        self._leases = Leases(self._url, self._executor_id, self._lease_times)
        try:
            await self._call(self._launch)
        except BaseException:
            await self._shut_down()
            raise
        self._upkeep = asyncio.create_task(self._keep_up())
        self._schedules.open()

    async def start(self, kind: str, key: str, payload: Payload) -> None:
        if DbosJobs._open is not self:
            raise RuntimeError("the jobs are not open")
        if kind not in self._workflows:
            raise ValueError(f"no handler is registered for jobs of kind {kind!r}")
        try:
            await self._call(self._start, self._workflows[kind], key, json.dumps(payload))
        except dbos_error.DBOSConflictingWorkflowError:
            raise ValueError(f"the key {key!r} belongs to a job of another kind") from None

    async def get(self, key: str) -> Job | None:
        found = await self._call(DBOS.list_workflows, workflow_ids=[key], load_input=False)
        return _job(found[0]) if found else None

    async def list(self, kind: str) -> list[Job]:
        """The newest 1000, newest first."""
        found = await self._call(
            DBOS.list_workflows, name=kind, load_input=False, limit=_LIST_LIMIT, sort_desc=True
        )
        return [_job(status) for status in found]

    async def cancel(self, key: str) -> None:
        """A handler that runs in another worker is cancelled at that worker's next renewal of its lease."""
        await self._call(DBOS.cancel_workflow, key)
        await self._stop_cancelled()

    async def schedule(self, kind: str, cron: str) -> None:
        self._schedules.add(kind, cron)

    async def close(self) -> None:
        """Handlers are cancelled; their jobs stay unfinished, for the next `open` or another worker."""
        if DbosJobs._open is not self or self._closing:
            return
        self._closing = True
        await self._schedules.close()
        self._upkeep.cancel()
        await asyncio.gather(self._upkeep, return_exceptions=True)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSE_TIMEOUT_SECONDS)
        await self._shut_down()

    async def _shut_down(self) -> None:
        try:
            await self._call(lambda: DBOS.destroy(destroy_registry=True))
            await self._call(self._leases.close)
        finally:
            self._threads.shutdown(wait=False)
            DbosJobs._open = None

    async def _call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        # Not asyncio.to_thread: it would carry a job's own DBOS context into what the job calls here.
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_SECONDS):
                return await self._loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))
        except TimeoutError:
            raise Unavailable(
                f"the database of the jobs did not answer in {_STORE_TIMEOUT_SECONDS:.0f} s"
            ) from None

    def _launch(self) -> None:
        # Live before DBOS marks a job as ours, or another worker could take it at once.
        self._leases.prepare()
        self._leases.renew()
        # With a handler in place, DBOS adds none of its own; errors go where ours go.
        logging.getLogger("dbos").addHandler(logging.NullHandler())
        DBOS(
            config={
                "name": "innkeeper",
                "system_database_url": self._url,
                "application_version": _APPLICATION_VERSION,
                "executor_id": self._executor_id,
                "serializer": DBOSPortableJSONSerializer(),
                "max_executor_threads": self._max_running,
                "log_level": "ERROR",
                "enable_otlp": False,
            }
        )
        self._workflows = {kind: self._workflow(kind) for kind in self._handlers}
        DBOS.launch()

    def _workflow(self, kind: str) -> Callable[[str], None]:
        def workflow(document: str) -> None:
            DBOS.run_step({"name": kind}, self._work, kind, document)

        return DBOS.workflow(name=kind, max_recovery_attempts=_CRASHES_MAX)(workflow)

    def _start(self, workflow: Callable[[str], None], key: str, document: str) -> None:
        with SetWorkflowID(key):
            DBOS.start_workflow(workflow, document)

    def _work(self, kind: str, document: str) -> None:
        """In a thread of DBOS: run the handler on our loop and wait for it."""
        key = DBOS.workflow_id
        assert key is not None
        running = self._run(kind, key, json.loads(document))
        try:
            future = asyncio.run_coroutine_threadsafe(running, self._loop)
        except RuntimeError:
            running.close()
            raise _Interrupted("the event loop is closed") from None
        try:
            future.result()
        except concurrent.futures.CancelledError:
            raise _Interrupted("the job was cancelled or the worker closes") from None
        except Exception as error:
            raise JobFailed(f"{type(error).__name__}: {error}") from error

    async def _run(self, kind: str, key: str, payload: Payload) -> None:
        if self._closing:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
        self._running[task] = key
        try:
            await self._retries.run(key, self._handlers[kind], payload)
        finally:
            del self._running[task]

    async def _keep_up(self) -> None:
        forgotten = self._loop.time()
        while True:
            await asyncio.sleep(self._lease_times.renew_seconds)
            try:
                await self._call(self._leases.renew)
                await self._call(self._take_over)
                await self._stop_cancelled()
                if self._loop.time() - forgotten > _FORGET_EVERY_SECONDS:
                    forgotten = self._loop.time()
                    await self._call(self._forget)
            except Exception:
                _LOG.exception("the upkeep of the jobs failed; it goes on")

    def _take_over(self) -> None:
        for worker in self._leases.claim_dead():
            left = DBOS.list_workflows(
                status="PENDING", executor_id=worker, load_input=False, load_output=False
            )
            DBOS.resume_workflows([status.workflow_id for status in left])
            self._leases.remove(worker)
            _LOG.warning("worker %s is dead; took over %d of its jobs", worker, len(left))

    async def _stop_cancelled(self) -> None:
        if not self._running:
            return
        cancelled = await self._call(
            DBOS.list_workflows,
            workflow_ids=list(self._running.values()),
            status="CANCELLED",
            load_input=False,
            load_output=False,
        )
        keys = {status.workflow_id for status in cancelled}
        for task, key in self._running.items():
            if key in keys:
                task.cancel()

    def _forget(self) -> None:
        ended = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            completed_before=(datetime.now(UTC) - self._keep).isoformat(),
            limit=_LIST_LIMIT,
            load_input=False,
            load_output=False,
        )
        DBOS.delete_workflows([status.workflow_id for status in ended])


def _synchronous(url: str) -> str:
    """The same database for DBOS and its blocking drivers."""
    parsed = make_url(url)
    driver = "sqlite" if parsed.get_backend_name() == "sqlite" else "postgresql+psycopg"
    return parsed.set(drivername=driver).render_as_string(hide_password=False)


def _job(status: WorkflowStatus) -> Job:
    error = str(status.error) if status.error else None
    return Job(status.workflow_id, status.name, _STATES[status.status], error)
