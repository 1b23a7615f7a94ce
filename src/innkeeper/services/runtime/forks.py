"""Forks: new sessions that go on from where another one is."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from innkeeper.kernel.errors import Conflict
from innkeeper.services.runtime.hibernation import Hibernation, Sleeper
from innkeeper.services.runtime.model import (
    SessionImage,
    SessionKey,
    SessionRecord,
    SessionStatus,
    check_session_id,
)
from innkeeper.services.runtime.moments import Moments
from innkeeper.services.runtime.session_records import SessionRecords
from innkeeper.services.runtime.sessions import Sessions


class Forks:
    def __init__(
        self,
        sessions: Sessions,
        hibernation: Hibernation,
        moments: Moments,
        records: SessionRecords,
    ) -> None:
        self._sessions = sessions
        self._hibernation = hibernation
        self._moments = moments
        self._records = records

    async def fork(self, parent: SessionRecord, session_id: str | None) -> SessionRecord:
        """A hibernated session with the memory and the storage that the parent has now; its first call wakes
        it. The parent goes on as it was. Without an id it gets a new one.

        Raises InvalidRequest, NotFound when the parent has ended, QuotaExceeded, RetryableConflict, and
        Conflict when the parent is at work, no image of it can be made, or the id is taken.
        """
        key = replace(parent.key, session_id=new_id(session_id))
        return await asyncio.shield(self._sessions.lives.task(self._fork(parent, key)))

    async def _fork(self, parent: SessionRecord, key: SessionKey) -> SessionRecord:
        with self._sessions.lives.hold(key):
            await self.check_free(key)
            image, _ = await self._moments.now(parent)
            lifetime = image.ends_at - parent.started_at
            return (await self.begin(key, parent.version, image, lifetime)).record

    async def check_free(self, key: SessionKey) -> None:
        """Raises Conflict when there is, or was, a session of this key."""
        if await self._records.find(key.account, key.runtime_id, key.session_id, key.endpoint):
            raise Conflict(f"There is, or was, a session {key.session_id}; a copy needs a new id")

    async def begin(self, key: SessionKey, version: int, image: SessionImage, lifetime: timedelta) -> Sleeper:
        """A new session that goes on from an image of its own, by who holds its key. It may live so long from
        now on."""
        child = self._records.new(uuid4().hex, key, version, SessionStatus.HIBERNATED)
        image = replace(image, life=child.id, ends_at=child.started_at + lifetime, mcp_session=None)
        sleeper = Sleeper(child, image)
        await self._hibernation.begin(sleeper)
        return sleeper


def new_id(wanted: str | None) -> str:
    """Raises InvalidRequest."""
    id_ = wanted or f"session-{uuid4()}"
    check_session_id(id_)
    return id_
