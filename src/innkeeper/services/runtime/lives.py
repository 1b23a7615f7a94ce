"""The sessions of this host that have a sandbox, or are getting one, and whose turn it is to change one."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

from innkeeper.engines.sandbox.sandbox import SandboxError
from innkeeper.kernel.errors import Conflict, QuotaExceeded, RetryableConflict
from innkeeper.services.runtime.model import SessionKey, SessionStatus
from innkeeper.services.runtime.session import Session
from innkeeper.services.runtime.session_records import SessionRecords

_Result = TypeVar("_Result")
_UNDER_WAY = "Session operation in progress, please retry"


class Lives:
    """At most `most` at a time."""

    def __init__(self, records: SessionRecords, most: int) -> None:
        self._records = records
        self._most = most
        self._live: dict[SessionKey, Session] = {}
        self._held: set[SessionKey] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def all(self) -> Sequence[Session]:
        return tuple(self._live.values())

    def find(self, key: SessionKey) -> Session | None:
        return self._live.get(key)

    def add(self, session: Session) -> None:
        self._live[session.key] = session

    def remove(self, session: Session) -> None:
        if self._live.get(session.key) is session:
            del self._live[session.key]

    @contextmanager
    def hold(self, key: SessionKey) -> Iterator[None]:
        """Nobody else makes, wakes or ends a session of this key meanwhile. Raises RetryableConflict."""
        if key in self._held:
            raise RetryableConflict(_UNDER_WAY)
        self._held.add(key)
        try:
            yield
        finally:
            self._held.discard(key)

    def check_room(self) -> None:
        """For those that start or wake, which are held. Raises QuotaExceeded."""
        if len(self._live.keys() | self._held) > self._most:
            raise QuotaExceeded(f"maxVms limit exceeded: this host runs at most {self._most} sessions")

    async def pause(self, session: Session) -> None:
        """Stop its processes where they are, until `resume` or the next call. Idempotent.

        Raises Conflict while it works on a request, and where sandboxes cannot be paused.
        """
        async with session.transition:
            await _pause(settled(session))
            await self._records.status(session)

    async def resume(self, session: Session) -> None:
        """Let a paused session go on where it was; its idle time begins anew. Idempotent."""
        if not _is_paused(session):
            return
        async with session.transition:
            if not _is_paused(session):
                return
            try:
                await session.sandbox.resume()
            except SandboxError as error:
                raise RetryableConflict("The session has ended, please retry") from error
            session.ready()
            await self._records.status(session)

    @asynccontextmanager
    async def still(self, session: Session) -> AsyncIterator[None]:
        """It is paused meanwhile, and whoever comes waits. Afterwards it is as before, unless it is
        hibernated. Raises Conflict while it works on a request, and where sandboxes cannot be paused."""
        async with session.transition:
            before = settled(session).status
            await _pause(session)
            try:
                yield
            finally:
                if before is SessionStatus.READY and _is_paused(session):
                    with suppress(SandboxError):  # it has ended, which its watch sees
                        await session.sandbox.resume()
                    session.status = before

    def task(self, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        """One that goes on when who asked for it goes away, until `close`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # told to who asked, unless that one has gone


def settled(session: Session) -> Session:
    """Raises RetryableConflict when it is in a transition, or over."""
    if not session.status.settled:
        raise RetryableConflict(_UNDER_WAY)
    return session


def _is_paused(session: Session) -> bool:
    return session.status is SessionStatus.PAUSED


async def _pause(session: Session) -> None:
    """By who holds its transition."""
    if _is_paused(session):
        return
    if session.active:
        raise Conflict(f"Session {session.key.session_id} is at work; try again when it is idle")
    session.status = SessionStatus.PAUSED  # from now on whoever comes waits, then resumes it
    try:
        await session.sandbox.pause()
    except BaseException as error:
        session.status = SessionStatus.READY
        if isinstance(error, SandboxError):
            raise Conflict(f"The session cannot be paused: {error}") from error
        raise
