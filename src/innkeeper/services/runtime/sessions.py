"""The sessions of this host: found, started, hibernated, woken, watched and ended."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxGone, Usage
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound, RetryableConflict
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.runtime.hibernation import Hibernation, Sleeper
from innkeeper.services.runtime.lives import Lives, settled
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
from innkeeper.services.runtime.session_log import log_of
from innkeeper.services.runtime.session_records import SessionRecords
from innkeeper.services.runtime.storage import SessionStorage
from innkeeper.services.usage.model import Kind, Subject
from innkeeper.services.usage.service import Metering
from innkeeper.services.web.service import Door

_SIGTERM = 15
_CLOSE_SECONDS = 20.0


class Sessions:
    """`hibernates` says whether those that are idle for too long are hibernated instead of ended."""

    def __init__(
        self,
        lives: Lives,
        records: SessionRecords,
        hibernation: Hibernation,
        provisioner: Provisioner,
        storage: SessionStorage,
        metering: Metering,
        logs: Path,
        clock: Clock,
        stop_timeout_seconds: float,
        *,
        hibernates: bool,
    ) -> None:
        self.lives = lives
        self.hibernates = hibernates
        self._records = records
        self._hibernation = hibernation
        self._provisioner = provisioner
        self._storage = storage
        self._metering = metering
        self._logs = logs
        self._clock = clock
        self._stop_timeout_seconds = stop_timeout_seconds
        self._waking: dict[SessionKey, asyncio.Task[Session]] = {}

    async def acquire(self, runtime: AgentRuntime, version: RuntimeVersion, key: SessionKey) -> Session:
        """The live session of this key, resumed or woken if need be; a new one when there is none. One that
        is woken has the version that it had.

        Raises RetryableConflict while it starts or stops, QuotaExceeded when the host is full, AgentFailed
        when the agent does not come up.
        """
        while (session := await self._awake(key)) is None:
            with self.lives.hold(key):
                await self._start(runtime, version, key)  # it may be paused as soon as it has begun
        return session

    def get(self, key: SessionKey) -> Session:
        """The live session of this key. Raises NotFound, Conflict when it is hibernated, or RetryableConflict
        in a transition."""
        live = self.lives.find(key)
        if live is not None:
            return settled(live)
        if self._hibernation.find(key) is not None:
            raise Conflict(
                f"Session {key.session_id} is hibernated: its next call wakes it, or `innkeeper resume`"
            )
        raise NotFound(f"Session {key.session_id} is not running")

    def of_mcp_session(self, endpoint: Endpoint, mcp_session: str) -> str | None:
        """The id of the session at this endpoint whose agent gave out this MCP session."""
        place = endpoint.account, endpoint.runtime_id, endpoint.name
        known = [(one.key, one.mcp_session) for one in self.lives.all]
        known += [(one.record.key, one.image.mcp_session) for one in self._hibernation.all]
        for key, given in known:
            if given == mcp_session and (key.account, key.runtime_id, key.endpoint) == place:
                return key.session_id
        return None

    async def hibernate(self, session: Session) -> None:
        """Its memory goes to disk, and its sandbox ends; its next call wakes it. Idempotent.

        Raises Conflict while it works on a request, and where no image of it can be made; QuotaExceeded.
        Then it is as before.
        """
        await asyncio.shield(self.lives.task(self._hibernate(session)))

    async def wake(self, key: SessionKey) -> Session:
        """One that is hibernated. Raises NotFound when it is not, RetryableConflict while it ends,
        QuotaExceeded when the host is full, AgentFailed when it cannot be done; then it is hibernated still.
        """
        waking = self._waking.get(key)
        if waking is None:
            sleeper = self._hibernation.find(key)
            if sleeper is None:
                raise NotFound(f"Session {key.session_id} is not hibernated")
            waking = self._waking[key] = self.lives.task(self._wake(sleeper))
            waking.add_done_callback(lambda _: self._waking.pop(key, None))
        return settled(await asyncio.shield(waking))

    async def wake_held(self, sleeper: Sleeper) -> Session:
        """As `wake`, by who holds its key. Its image stays until it is hibernated again: what a crash would
        leave of it."""
        record = sleeper.record
        self.lives.check_room()
        began = self._clock.monotonic()
        version = await self._provisioner.version(record)
        session = Session(record, version, self.log_path(record), self._clock, sleeper.image)
        await self._provisioner.wake(session, sleeper.image)
        session.ready()
        try:
            await self._records.status(session)
        except BaseException:
            await asyncio.shield(session.close())
            raise
        self._hibernation.remove(sleeper)
        self.lives.add(session)
        return await self._begun(session, began)

    async def door(self, account: str, id_: str) -> Door | None:
        """To the session of which this is the life, or the last used of those whose caller named it so; it is
        woken if need be. Raises RetryableConflict while it starts or stops."""
        live = [one for one in self.lives.all if _is_called(one.record, account, id_)]
        asleep = [one.record for one in self._hibernation.all if _is_called(one.record, account, id_)]
        if live:
            key = max(live, key=lambda one: one.last_used).key
        elif asleep:
            key = max(asleep, key=lambda one: one.last_used_at).key
        else:
            return None
        session = await self._awake(key)
        if session is None:
            return None
        session.touch()
        return Door(session.id, session.sandbox, session.use)

    async def stop(self, key: SessionKey, reason: str) -> None:
        """End it, hibernated or not. Raises NotFound, RetryableConflict."""
        if waking := self._waking.get(key):
            await asyncio.wait({waking})
        sleeper = self._hibernation.find(key)
        if sleeper is None:
            await self.end(self.get(key), reason)
            return
        with self.lives.hold(key):
            await self._records.ended(sleeper.record, reason)
            self._hibernation.remove(sleeper)
        await self._hibernation.images.delete(sleeper.image.id)

    async def end(self, session: Session, reason: str) -> None:
        """Stop the agent, with a short grace, and its sandbox. One that still starts ends when it has; for
        one that is ending already nothing is done."""
        session.end_reason = session.end_reason or reason
        if not session.status.settled:
            return
        async with session.transition:
            if session.status.settled:
                await self._end(session, reason)
        if session.status is SessionStatus.HIBERNATED:  # that was under way
            await self.stop(session.key, reason)

    async def end_overdue(self) -> None:
        """Of those that are hibernated."""
        for one in self._hibernation.overdue(self._clock.now()):
            with suppress(NotFound, RetryableConflict):  # it was woken meanwhile, or is being ended
                await self.stop(one.record.key, "maximum lifetime reached")

    async def end_all(
        self, account: str, runtime_id: str, endpoint: str | None = None, reason: str = "deleted"
    ) -> None:
        """End the sessions of a runtime, or of one of its endpoints, and delete their storage."""

        def wanted(key: SessionKey) -> bool:
            return (key.account, key.runtime_id) == (account, runtime_id) and endpoint in (None, key.endpoint)

        asleep = [one.record.key for one in self._hibernation.all if wanted(one.record.key)]
        await asyncio.gather(*(self.stop(key, reason) for key in asleep))
        await asyncio.gather(*(self.end(one, reason) for one in self.lives.all if wanted(one.key)))
        await self._storage.delete(account, runtime_id, endpoint)

    async def list(self, account: str, runtime_id: str, page: PageRequest) -> Page[SessionRecord]:
        """Newest first, live ones with what they used until now."""
        found = await self._records.list(account, runtime_id, page)
        return Page([await self._brought_up_to_date(one) for one in found.items], found.next_token)

    async def find(
        self, account: str, runtime_id: str, session_id: str, endpoint: str | None
    ) -> SessionRecord | None:
        """The latest life of a session, at this endpoint or at any."""
        return await self._records.find(account, runtime_id, session_id, endpoint)

    def ended(self, record: SessionRecord) -> asyncio.Event:
        """An event that is set once this life of the session is over, or hibernated."""
        session = self.lives.find(record.key)
        if session is not None and session.id == record.id:
            return session.ended
        over = asyncio.Event()
        over.set()
        return over

    def agent_of(self, caller: Caller) -> tuple[str, str] | None:
        """The runtime id and session id of the agent that these credentials were given to."""
        for session in self.lives.all:
            if caller.access_key_id and caller.access_key_id in (session.access_key_id, session.agent_key_id):
                return session.key.runtime_id, session.key.session_id
        return None

    async def close(self) -> None:
        """Hibernate those that may be, end the others."""
        if self.hibernates:
            await self._hibernate_all(one for one in self.lives.all if one.status.settled and not one.active)
        await asyncio.gather(*(self.end(session, "the server was stopped") for session in self.lives.all))
        self.lives.close()

    def log_path(self, record: SessionRecord) -> Path:
        return log_of(self._logs, record.key)

    async def _awake(self, key: SessionKey) -> Session | None:
        """The live session of this key, resumed or woken if need be; None when there is none. Raises
        RetryableConflict while it starts or stops."""
        while True:
            live = self.lives.find(key)
            if live is not None:
                await self.lives.resume(live)
                if live.status is not SessionStatus.HIBERNATED:
                    return settled(live)
                await live.ended.wait()
            elif key in self._waking or self._hibernation.find(key) is not None:
                await self.wake(key)
            else:
                return None

    async def _start(self, runtime: AgentRuntime, version: RuntimeVersion, key: SessionKey) -> None:
        self.lives.check_room()
        record = self._records.new(uuid4().hex, key, version.number, SessionStatus.STARTING)
        session = Session(record, version, self.log_path(record), self._clock)
        self.lives.add(session)
        try:
            await self._records.insert(record)
            await self._provisioner.start(session, runtime)
            session.ready()
            await self._records.status(session)
        except BaseException as error:
            session.status = SessionStatus.TERMINATED
            self.lives.remove(session)
            session.ended.set()
            reason = str(error) or type(error).__name__
            ended = self._records.ended(session.told(Usage()), f"start failed: {reason}")
            await asyncio.shield(ended)
            raise
        await self._begun(session, session.started)

    async def _begun(self, session: Session, metered_since: float) -> Session:
        key = session.key
        subject = Subject(session.meter, key.account, Kind.RUNTIME, key.runtime_id, key.session_id)
        self._metering.begin(subject, session.sandbox, metered_since)
        self._watch(session)
        if session.end_reason is not None:
            await self.end(session, session.end_reason)
        return settled(session)

    async def _hibernate(self, session: Session) -> None:
        if session.status is SessionStatus.HIBERNATED:
            return
        before = session.image
        async with self.lives.still(session):
            self._unwatch(session)
            try:
                image = await self._hibernation.take(session, go_on=False)
            except BaseException:
                self._watch(session)
                raise
            usage = await session.sandbox.usage()
            await self._metering.end(session.meter)
            session.log.note("hibernated")
            await session.close()
            session.status = SessionStatus.HIBERNATED
            sleeper = Sleeper(session.told(usage), image)
            try:
                await self._records.hibernated(sleeper.record, image)
            finally:  # whatever the database says: its image is all that there is of it now
                self._hibernation.add(sleeper)
                self.lives.remove(session)
                session.ended.set()
        if before is not None:
            await self._hibernation.images.delete(before.id)

    async def _hibernate_all(self, sessions: Iterable[Session]) -> None:
        resting = [self.lives.task(self._hibernate(session)) for session in sessions]
        if resting:
            await asyncio.wait(resting, timeout=_CLOSE_SECONDS)

    async def _wake(self, sleeper: Sleeper) -> Session:
        with self.lives.hold(sleeper.record.key):
            return await self.wake_held(sleeper)

    async def _end(self, session: Session, reason: str) -> None:
        """By who holds its transition."""
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
            await self._metering.end(session.meter)
            await session.close()
            session.status = SessionStatus.TERMINATED
            self.lives.remove(session)
            session.ended.set()
        await self._records.ended(session.told(usage), reason)
        if session.image is not None:
            await self._hibernation.images.delete(session.image.id)

    def _watch(self, session: Session) -> None:
        session.watch = self.lives.task(self._end_with_agent(session))

    def _unwatch(self, session: Session) -> None:
        if session.watch is not None:
            session.watch.cancel()

    async def _end_with_agent(self, session: Session) -> None:
        try:
            reason = f"the agent ended with exit code {await session.agent.wait()}"
        except SandboxGone:
            reason = "the sandbox ended"
        await self.end(session, reason)

    async def _brought_up_to_date(self, record: SessionRecord) -> SessionRecord:
        session = self.lives.find(record.key)
        if session is None or session.id != record.id or not session.status.settled:
            return record
        return session.told(await session.sandbox.usage())


def _is_called(record: SessionRecord, account: str, id_: str) -> bool:
    return record.key.account == account and id_ in (record.id, record.key.session_id)
