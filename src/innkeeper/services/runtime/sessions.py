"""The sessions of this host: found, started, watched and ended."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxGone, Usage
from innkeeper.engines.store.database import Database
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound, QuotaExceeded, RetryableConflict
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.runtime import store
from innkeeper.services.runtime.model import (
    AgentRuntime,
    Endpoint,
    RuntimeVersion,
    SessionKey,
    SessionRecord,
    SessionStatus,
)
from innkeeper.services.runtime.provisioning import Provisioner
from innkeeper.services.runtime.session import Session
from innkeeper.services.runtime.storage import SessionStorage
from innkeeper.services.usage.model import Kind, Subject
from innkeeper.services.usage.service import Metering
from innkeeper.services.web.service import Door

_SIGTERM = 15


class Sessions:
    def __init__(
        self,
        database: Database,
        provisioner: Provisioner,
        storage: SessionStorage,
        metering: Metering,
        logs: Path,
        host: str,
        clock: Clock,
        max_count: int,
        stop_timeout_seconds: float,
    ) -> None:
        self._database = database
        self._provisioner = provisioner
        self._storage = storage
        self._metering = metering
        self._logs = logs
        self._host = host
        self._clock = clock
        self._max_count = max_count
        self._stop_timeout_seconds = stop_timeout_seconds
        self._live: dict[SessionKey, Session] = {}
        self._watches: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> Sequence[Session]:
        return tuple(self._live.values())

    async def recover(self) -> None:
        """Close the records that a killed server of this host left open; its sandboxes died with it."""
        values = {
            "status": SessionStatus.TERMINATED,
            "ended_at": self._clock.now(),
            "end_reason": "the server was restarted",
        }
        async with self._database.begin() as connection:
            await store.end_sessions_of_host(connection, self._host, values)

    async def acquire(self, runtime: AgentRuntime, version: RuntimeVersion, key: SessionKey) -> Session:
        """The live session of this key, resumed if it is paused; a new one is started when there is none.

        Raises RetryableConflict while it starts or stops, QuotaExceeded when the host is full, AgentFailed
        when the agent does not come up.
        """
        live = self._live.get(key)
        if live is not None:
            await self.resume(live)
            return _settled(live)
        if len(self._live) >= self._max_count:
            raise QuotaExceeded(f"maxVms limit exceeded: this host runs at most {self._max_count} sessions")
        session = Session(uuid4().hex, key, version, self._log_path(key), self._clock)
        self._live[key] = session
        try:
            await self._insert(session)
            await self._provisioner.start(session, runtime)
            await self._update(session, {"status": SessionStatus.READY})
        except BaseException as error:
            self._live.pop(key, None)
            session.ended.set()
            reason = str(error) or type(error).__name__
            await asyncio.shield(self._record_end(session, f"start failed: {reason}", Usage()))
            raise
        session.status = SessionStatus.READY
        self._metering.begin(_subject(session), session.sandbox, session.started)
        session.touch()
        self._watch(session)
        if session.end_reason is not None:
            await self.end(session, session.end_reason)
        return _settled(session)

    def get(self, key: SessionKey) -> Session:
        """The live session of this key. Raises NotFound, or RetryableConflict in a transition."""
        live = self._live.get(key)
        if live is None:
            raise NotFound(f"Session {key.session_id} is not running")
        return _settled(live)

    def of_mcp_session(self, endpoint: Endpoint, mcp_session: str) -> str | None:
        """The id of the live session at this endpoint whose agent gave out this MCP session."""
        place = endpoint.account, endpoint.runtime_id, endpoint.name
        for key, session in self._live.items():
            if session.mcp_session == mcp_session and (key.account, key.runtime_id, key.endpoint) == place:
                return key.session_id
        return None

    async def pause(self, session: Session) -> None:
        """Stop its processes where they are, until `resume` or the next call. Idempotent.

        Raises Conflict while it works on a request, and where sandboxes cannot be paused.
        """
        async with session.transition:
            if _settled(session).status is SessionStatus.PAUSED:
                return
            if session.active:
                raise Conflict(
                    f"Session {session.key.session_id} is at work; it can be paused when it is idle"
                )
            session.status = SessionStatus.PAUSED  # from now on whoever comes waits, then resumes it
            try:
                await session.sandbox.pause()
            except BaseException as error:
                _change(session, SessionStatus.PAUSED, SessionStatus.READY)
                if isinstance(error, SandboxError):
                    raise Conflict(f"The session cannot be paused: {error}") from error
                raise
            await self._update(session, {"status": session.status})

    async def resume(self, session: Session) -> None:
        """Let a paused session go on where it was; its idle time begins anew. Idempotent."""
        if session.status is not SessionStatus.PAUSED:
            return
        async with session.transition:
            try:
                await session.sandbox.resume()
            except SandboxError as error:
                raise RetryableConflict("The session has ended, please retry") from error
            session.touch()
            if _change(session, SessionStatus.PAUSED, SessionStatus.READY):
                await self._update(session, {"status": session.status})

    async def door(self, account: str, id_: str) -> Door | None:
        """To the live session of which this is the life, or the last used of those whose caller named it so;
        awake. Raises RetryableConflict while it starts or stops."""
        found = [
            one for one in self.live if one.key.account == account and id_ in (one.id, one.key.session_id)
        ]
        if not found:
            return None
        session = max(found, key=lambda one: one.last_used)
        await self.resume(session)
        return Door(session.id, _settled(session).sandbox, session.use)

    async def end(self, session: Session, reason: str) -> None:
        """Stop the agent, with a short grace, and its sandbox. One that still starts ends when it has; for
        one that is ending already nothing is done."""
        session.end_reason = session.end_reason or reason
        if not session.status.settled:
            return
        paused = session.status is SessionStatus.PAUSED
        session.status = SessionStatus.STOPPING
        usage = Usage()
        try:
            session.log.note(f"session ends: {reason}")
            usage = await session.sandbox.usage()
            if paused:
                await session.sandbox.resume()
            await session.agent.signal(_SIGTERM)
            async with asyncio.timeout(self._stop_timeout_seconds):
                await session.agent.wait()
        except (TimeoutError, SandboxError, OSError):
            pass  # it gets no second chance: the sandbox is killed next
        finally:
            await self._metering.end(session.id)
            await session.close()
            session.status = SessionStatus.TERMINATED
            self._live.pop(session.key, None)
            session.ended.set()
        await self._record_end(session, reason, usage)

    async def end_all(
        self, account: str, runtime_id: str, endpoint: str | None = None, reason: str = "deleted"
    ) -> None:
        """End the sessions of a runtime, or of one of its endpoints, and delete their storage."""
        found = [
            session
            for key, session in self._live.items()
            if (key.account, key.runtime_id) == (account, runtime_id) and endpoint in (None, key.endpoint)
        ]
        await asyncio.gather(*(self.end(session, reason) for session in found))
        await self._storage.delete(account, runtime_id, endpoint)

    async def list(self, account: str, runtime_id: str, page: PageRequest) -> Page[SessionRecord]:
        """Newest first, live ones with what they used until now."""
        async with self._database.begin() as connection:
            found = await store.list_sessions(connection, account, runtime_id, page)
        records = page.page(found, key=lambda record: (record.started_at.isoformat(), record.id))
        return Page([await self._brought_up_to_date(one) for one in records.items], records.next_token)

    async def find(
        self, account: str, runtime_id: str, session_id: str, endpoint: str | None
    ) -> SessionRecord | None:
        """The latest life of a session, at this endpoint or at any."""
        async with self._database.begin() as connection:
            return await store.find_session(connection, account, runtime_id, session_id, endpoint)

    def ended(self, record: SessionRecord) -> asyncio.Event:
        """An event that is set once this life of the session is over."""
        session = self._live.get(record.key)
        if session is not None and session.id == record.id:
            return session.ended
        over = asyncio.Event()
        over.set()
        return over

    def agent_of(self, caller: Caller) -> tuple[str, str] | None:
        """The runtime id and session id of the agent that these credentials were given to."""
        for session in self._live.values():
            if session.access_key_id and session.access_key_id == caller.access_key_id:
                return session.key.runtime_id, session.key.session_id
        return None

    async def close(self) -> None:
        await asyncio.gather(*(self.end(session, "the server was stopped") for session in self.live))
        for watch in tuple(self._watches):
            watch.cancel()

    def log_path(self, record: SessionRecord) -> Path:
        """Where the log of a session's id is kept: all its lives, one after the other."""
        return self._log_path(record.key)

    def _log_path(self, key: SessionKey) -> Path:
        return self._logs / key.account / key.runtime_id / f"{key.endpoint}-{key.file_name}.log"

    def _watch(self, session: Session) -> None:
        watch = asyncio.create_task(self._end_with_agent(session))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _end_with_agent(self, session: Session) -> None:
        try:
            reason = f"the agent ended with exit code {await session.agent.wait()}"
        except SandboxGone:
            reason = "the sandbox ended"
        await self.end(session, reason)

    async def _brought_up_to_date(self, record: SessionRecord) -> SessionRecord:
        session = self._live.get(record.key)
        if session is None or session.id != record.id or not session.status.settled:
            return record
        usage = await session.sandbox.usage()
        idle = self._clock.monotonic() - session.last_used
        return replace(
            record,
            status=session.status,
            cpu_seconds=usage.cpu_seconds,
            memory_peak_mib=usage.memory_peak_mib,
            last_used_at=self._clock.now() - timedelta(seconds=0 if session.active else idle),
        )

    async def _insert(self, session: Session) -> None:
        now = self._clock.now()
        record = SessionRecord(
            session.id, session.key, session.version.number, self._host, session.status, now, now
        )
        async with self._database.begin() as connection:
            await store.insert_session(connection, record)

    async def _record_end(self, session: Session, reason: str, usage: Usage) -> None:
        idle = self._clock.monotonic() - session.last_used
        now = self._clock.now()
        values = {
            "status": SessionStatus.TERMINATED,
            "ended_at": now,
            "last_used_at": now - timedelta(seconds=idle),
            "end_reason": reason[:1000],
            "cpu_seconds": usage.cpu_seconds,
            "memory_peak_mib": usage.memory_peak_mib,
        }
        await self._update(session, values)

    async def _update(self, session: Session, values: Mapping[str, Any]) -> None:
        async with self._database.begin() as connection:
            await store.update_session(connection, session.id, values)


def _subject(session: Session) -> Subject:
    key = session.key
    return Subject(session.id, key.account, Kind.RUNTIME, key.runtime_id, key.session_id)


def _change(session: Session, before: SessionStatus, after: SessionStatus) -> bool:
    """False when the session was no longer what it was: its end came between."""
    changes = session.status is before
    if changes:
        session.status = after
    return changes


def _settled(session: Session) -> Session:
    if not session.status.settled:
        raise RetryableConflict("Session operation in progress, please retry")
    return session
