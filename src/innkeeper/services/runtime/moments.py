"""Moments: all that a session is at one time, as an image and a copy of its storage."""

import asyncio
from dataclasses import replace
from weakref import WeakValueDictionary

from innkeeper.kernel.errors import Conflict
from innkeeper.services.runtime.hibernation import Hibernation
from innkeeper.services.runtime.model import SessionImage, SessionKey, SessionRecord
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.storage import Kept, SessionStorage


class Moments:
    def __init__(self, sessions: Sessions, hibernation: Hibernation, storage: SessionStorage) -> None:
        self._sessions = sessions
        self._hibernation = hibernation
        self._storage = storage
        self._turns: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()

    async def now(self, record: SessionRecord) -> tuple[SessionImage, int]:
        """Of a session, which goes on as it was; and the bytes that it takes on disk.

        Raises NotFound when it has ended, QuotaExceeded, RetryableConflict, and Conflict when it is at work
        or no image of it can be made; then nothing is left.
        """
        async with self._turns.setdefault(record.key, asyncio.Lock()):
            sleeper = self._hibernation.find(record.key)
            if sleeper is not None:
                with self._sessions.lives.hold(record.key):
                    return await self._with_storage(await self._hibernation.copy(sleeper), record)
        session = self._sessions.get(record.key)
        async with self._sessions.lives.still(session):
            return await self._with_storage(await self._hibernation.take(session, go_on=True), record)

    async def _with_storage(self, image: SessionImage, record: SessionRecord) -> tuple[SessionImage, int]:
        try:
            kept = await self._storage.keep(record.key, record.version) or Kept("", 0)
        except OSError as error:
            await self._hibernation.images.delete(image.id)
            raise Conflict(
                f"The storage of session {record.key.session_id} cannot be copied: "
                f"{error.strerror or 'it holds more than files, folders and links'}"
            ) from error
        return replace(image, storage=kept.id or None), image.size_bytes + kept.size_bytes
