"""The sessions of this host: started, found, listed and ended."""

import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import timedelta

from innkeeper.engines.sandbox.sandbox import Limits, SandboxError, Usage
from innkeeper.engines.store.client_tokens import claim
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound, QuotaExceeded
from innkeeper.kernel.ids import random_suffix
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.code_interpreter import store
from innkeeper.services.code_interpreter.limits import within
from innkeeper.services.code_interpreter.model import (
    DEFAULT_TIMEOUT_SECONDS,
    CodeInterpreter,
    SessionRecord,
    SessionStatus,
    check_extras,
)
from innkeeper.services.code_interpreter.roles import ExecutionRoles, Grant
from innkeeper.services.code_interpreter.room import Room
from innkeeper.services.code_interpreter.rooms import Reach, Rooms
from innkeeper.services.secrets_manager.service import SecretsManager
from innkeeper.services.usage.model import Kind, Subject
from innkeeper.services.usage.service import Metering
from innkeeper.services.web.service import Door

_TOKEN_MEMBERS = ("codeInterpreterIdentifier", "name", "sessionTimeoutSeconds", "certificates", "clientToken")
_ID_LENGTH = 26
_LOG = logging.getLogger(__name__)


class Session:
    """A live session. `watch` ends it when its time is over, or its sandbox is."""

    def __init__(self, record: SessionRecord, room: Room, grant: Grant) -> None:
        self.record = record
        self.room = room
        self.grant = grant
        self.end_reason = ""
        self.ended = asyncio.Event()
        self.watch: asyncio.Task[None] | None = None


class Sessions:
    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        roles: ExecutionRoles,
        secrets: SecretsManager,
        metering: Metering,
        host: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._roles = roles
        self._secrets = secrets
        self._metering = metering
        self._host = host
        self._clock = clock
        self._live: dict[str, Session] = {}
        self._clearing: set[asyncio.Task[None]] = set()
        self._starting = 0
        self.opened_at = clock.now()

    @property
    def limits(self) -> Limits:
        """What a session may use at most."""
        return self._rooms.rules.limits

    async def recover(self) -> None:
        """Close the records that a killed server of this host left open: its sandboxes died with it. Then
        begin to prepare for the first sessions."""
        await self._rooms.sweep()
        values = {
            "status": SessionStatus.TERMINATED,
            "updated_at": self._clock.now(),
            "end_reason": "the server was restarted",
        }
        async with self._database.begin() as connection:
            await store.end_sessions_of_host(connection, self._host, values)
        self._rooms.prepare()

    async def start(
        self, caller: Caller, interpreter: CodeInterpreter, parameters: Document
    ) -> SessionRecord:
        """Raises InvalidRequest, QuotaExceeded, Unavailable; AccessDenied or NotFound for a certificate. Its
        time runs from now, busy or not."""
        check_extras(parameters)
        most = self._rooms.rules.sessions
        if len(self._live) + self._starting >= most:
            raise QuotaExceeded(f"This host runs at most {most} code interpreter sessions")
        named = [*interpreter.certificates, *parameters.get("certificates", ())]
        authorities = await self._secrets.certificates(caller, named)
        record = self._new_record(caller.account, interpreter, parameters)
        self._starting += 1
        try:
            return await self._start(record, interpreter, parameters, authorities)
        finally:
            self._starting -= 1

    async def get(self, account: str, interpreter_id: str, session_id: str) -> SessionRecord:
        async with self._database.begin() as connection:
            found = await store.find_session(connection, account, interpreter_id, session_id)
        if found is None:
            raise NotFound(f"Session {session_id} of code interpreter {interpreter_id} does not exist")
        return found

    async def list(
        self, account: str, interpreter_id: str, status: SessionStatus | None, page: PageRequest
    ) -> Page[SessionRecord]:
        """Newest first."""
        async with self._database.begin() as connection:
            found = await store.list_sessions(connection, account, interpreter_id, status, page)
        cursor = store.SESSIONS.of(account, interpreter_id)
        return cursor.page(page, found, key=lambda record: (record.created_at, record.id))

    async def room(self, account: str, interpreter_id: str, session_id: str) -> Room:
        """Where a live session works. Raises NotFound, also once it has ended."""
        session = self._live.get(session_id)
        if session is not None and not session.end_reason:
            record = session.record
            if (record.account, record.interpreter) == (account, interpreter_id):
                return session.room
        ended = await self.get(account, interpreter_id, session_id)
        raise NotFound(f"Session {session_id} has ended: {ended.end_reason or 'it was stopped'}")

    async def door(self, account: str, session_id: str) -> Door | None:
        """To a live session."""
        session = self._live.get(session_id)
        if session is None or session.end_reason or session.record.account != account:
            return None
        return Door(session_id, session.room.sandbox)

    async def stop(self, account: str, interpreter_id: str, session_id: str) -> SessionRecord:
        """One that has ended stays as it is."""
        record = await self.get(account, interpreter_id, session_id)
        session = self._live.get(record.id)
        if session is None:
            return record
        await asyncio.shield(self._end(session, "it was stopped"))
        return await self.get(account, interpreter_id, session_id)

    async def end_all(self, account: str, interpreter_id: str) -> None:
        found = [
            session
            for session in self._live.values()
            if (session.record.account, session.record.interpreter) == (account, interpreter_id)
        ]
        await asyncio.gather(*(self._end(session, "its interpreter was deleted") for session in found))

    async def forget_ended(self, days: int) -> int:
        """The records of those that ended longer ago than that; how many."""
        before = self._clock.now() - timedelta(days=days)
        async with self._database.begin() as connection:
            return await store.delete_ended(connection, before)

    async def close(self) -> None:
        live = tuple(self._live.values())
        await asyncio.gather(*(self._end(session, "the server was stopped") for session in live))
        await asyncio.gather(*self._clearing)
        await self._rooms.close()

    async def _start(
        self, record: SessionRecord, interpreter: CodeInterpreter, parameters: Document, authorities: bytes
    ) -> SessionRecord:
        async with AsyncExitStack() as undo:
            grant = await self._roles.grant(interpreter, record)
            undo.push_async_callback(self._roles.revoke, grant)
            own = within(self.limits, interpreter.limits)
            room = await self._rooms.open(Reach.of(interpreter), grant.variables, own, authorities)
            undo.push_async_callback(room.close)
            kept = await self._insert(record, parameters)
            if kept.id == record.id:  # else the request is a repeat, and its session is there
                undo.pop_all()
                self._begin(Session(record, room, grant))
            return kept

    def _new_record(self, account: str, interpreter: CodeInterpreter, parameters: Document) -> SessionRecord:
        now = self._clock.now()
        return SessionRecord(
            id=random_suffix(_ID_LENGTH),
            account=account,
            interpreter=interpreter.id,
            name=parameters.get("name"),
            status=SessionStatus.READY,
            timeout_seconds=parameters.get("sessionTimeoutSeconds", DEFAULT_TIMEOUT_SECONDS),
            host=self._host,
            created_at=now,
            updated_at=now,
        )

    async def _insert(self, record: SessionRecord, parameters: Document) -> SessionRecord:
        """The record that is kept: another one when the request is a repeat."""
        told = {member: parameters[member] for member in _TOKEN_MEMBERS if member in parameters}
        async with self._database.begin() as connection:
            made = await claim(
                connection, record.account, "StartCodeInterpreterSession", told, record.id, record.created_at
            )
            if made == record.id:
                await store.insert_session(connection, record)
                return record
            found = await store.find_session(connection, record.account, record.interpreter, made)
        if found is None:
            raise NotFound(f"Session {made}, which this request started before, does not exist any more")
        return found

    def _begin(self, session: Session) -> None:
        record = session.record
        self._live[record.id] = session
        subject = Subject(record.id, record.account, Kind.CODE_INTERPRETER, record.interpreter, record.id)
        self._metering.begin(subject, session.room.sandbox)
        session.watch = asyncio.create_task(self._watch(session))

    async def _watch(self, session: Session) -> None:
        seconds = session.record.timeout_seconds
        reason = "its sandbox ended"
        try:
            async with asyncio.timeout(seconds):
                await session.room.sandbox.closed()
        except TimeoutError:
            reason = f"its time of {seconds} s was over"
        await self._end(session, reason)

    async def _end(self, session: Session, reason: str) -> None:
        """Returns once that is durable, also when somebody else ends it already. Its sandbox goes in the
        background; a server that is killed meanwhile reaps it when it starts."""
        if session.end_reason:
            await session.ended.wait()
            return
        session.end_reason = reason
        if session.watch is not None and session.watch is not asyncio.current_task():
            session.watch.cancel()
        try:
            usage = await _usage(session.room)
            await self._metering.end(session.record.id)
            await self._roles.revoke(session.grant)
            await self._record_end(session, usage)
        finally:
            session.ended.set()
            clearing = asyncio.create_task(self._clear(session))
            self._clearing.add(clearing)
            clearing.add_done_callback(self._clearing.discard)

    async def _clear(self, session: Session) -> None:
        """Until then it counts among those that this host runs."""
        try:
            await session.room.close()
        except (SandboxError, OSError):
            _LOG.exception("the sandbox of session %s could not be cleared away", session.record.id)
        finally:
            self._live.pop(session.record.id, None)

    async def _record_end(self, session: Session, usage: Usage) -> None:
        values = {
            "status": SessionStatus.TERMINATED,
            "updated_at": self._clock.now(),
            "end_reason": session.end_reason,
            "cpu_seconds": usage.cpu_seconds,
            "memory_peak_mib": usage.memory_peak_mib,
        }
        async with self._database.begin() as connection:
            await store.update_session(connection, session.record.id, values)


async def _usage(room: Room) -> Usage:
    try:
        return await room.sandbox.usage()
    except (SandboxError, OSError):
        return Usage()  # it ended by itself: nobody has measured it
