"""Forks: new sessions that go on from where another one is."""

import asyncio
from dataclasses import replace
from uuid import uuid4
from weakref import WeakValueDictionary

from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict
from innkeeper.services.runtime.hibernation import Hibernation, Sleeper
from innkeeper.services.runtime.model import (
    SessionImage,
    SessionKey,
    SessionRecord,
    SessionStatus,
    check_session_id,
)
from innkeeper.services.runtime.session_records import SessionRecords
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.storage import SessionStorage


class Forks:
    def __init__(
        self,
        sessions: Sessions,
        hibernation: Hibernation,
        records: SessionRecords,
        storage: SessionStorage,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._hibernation = hibernation
        self._records = records
        self._storage = storage
        self._clock = clock
        self._turns: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()

    async def fork(self, parent: SessionRecord, session_id: str | None) -> SessionRecord:
        """A hibernated session with the memory and the storage that the parent has now; its first call wakes
        it. The parent goes on as it was. Without an id it gets a new one.

        Raises InvalidRequest, NotFound when the parent has ended, QuotaExceeded, RetryableConflict, and
        Conflict when the parent is at work, no image of it can be made, or the id is taken.
        """
        id_ = session_id or f"session-{uuid4()}"
        check_session_id(id_)
        key = replace(parent.key, session_id=id_)
        return await asyncio.shield(self._sessions.lives.task(self._fork(parent, key)))

    async def _fork(self, parent: SessionRecord, key: SessionKey) -> SessionRecord:
        with self._sessions.lives.hold(key):
            if await self._records.find(key.account, key.runtime_id, key.session_id, key.endpoint):
                raise Conflict(f"There is, or was, a session {key.session_id}; a fork needs a new id")
            image = await self._image(parent, key)
            child = self._records.new(uuid4().hex, key, parent.version, SessionStatus.HIBERNATED)
            # All that it may live, from now on.
            ends_at = child.started_at + (image.ends_at - parent.started_at)
            image = replace(image, life=child.id, ends_at=ends_at, mcp_session=None)
            try:
                await self._records.insert_hibernated(child, image)
            except BaseException:
                await self._hibernation.images.delete(image.id)
                await self._storage.forget(key)
                raise
            self._hibernation.add(Sleeper(child, image))
        return child

    async def _image(self, parent: SessionRecord, key: SessionKey) -> SessionImage:
        """Of the parent, whose storage is copied meanwhile."""
        async with self._turns.setdefault(parent.key, asyncio.Lock()):
            sleeper = self._hibernation.find(parent.key)
            if sleeper is not None:
                with self._sessions.lives.hold(parent.key):
                    return await self._with_storage(await self._hibernation.copy(sleeper), parent, key)
        session = self._sessions.get(parent.key)
        async with self._sessions.lives.still(session):
            return await self._with_storage(await self._hibernation.take(session, go_on=True), parent, key)

    async def _with_storage(
        self, image: SessionImage, parent: SessionRecord, key: SessionKey
    ) -> SessionImage:
        try:
            await self._storage.copy(parent.key, key)
        except OSError as error:
            await self._hibernation.images.delete(image.id)
            raise Conflict(
                f"The storage of session {parent.key.session_id} cannot be copied: "
                f"{error.strerror or 'it holds more than files, folders and links'}"
            ) from error
        return image
