"""What the database says of sessions, live ones and those of before."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.runtime import session_store as store
from innkeeper.services.runtime import snapshot_store
from innkeeper.services.runtime.model import SessionImage, SessionKey, SessionRecord, SessionStatus
from innkeeper.services.runtime.session import Session


class SessionRecords:
    def __init__(self, database: Database, host: str, clock: Clock) -> None:
        self._database = database
        self._host = host
        self._clock = clock

    async def recover(self) -> list[tuple[SessionRecord, SessionImage]]:
        """Close the records that a killed server of this host left open: its sandboxes died with it. Those
        that have an image are hibernated from now on, and given."""
        values = {
            "status": SessionStatus.TERMINATED,
            "ended_at": self._clock.now(),
            "end_reason": "the server was restarted",
        }
        async with self._database.begin() as connection:
            await store.recover_host(connection, self._host, values)
            return list(await store.hibernated(connection, self._host))

    def new(self, id_: str, key: SessionKey, version: int, status: SessionStatus) -> SessionRecord:
        """One that begins now, on this host."""
        now = self._clock.now()
        return SessionRecord(id_, key, version, self._host, status, now, now)

    async def insert(self, record: SessionRecord) -> None:
        async with self._database.begin() as connection:
            await store.insert_session(connection, record)

    async def insert_hibernated(self, record: SessionRecord, image: SessionImage) -> None:
        async with self._database.begin() as connection:
            await store.insert_session(connection, record)
            await store.put_image(connection, image)

    async def put_image(self, image: SessionImage) -> None:
        """What a hibernated session goes on from, from now on."""
        async with self._database.begin() as connection:
            await store.put_image(connection, image)

    async def status(self, session: Session) -> None:
        async with self._database.begin() as connection:
            await store.update_session(connection, session.id, {"status": session.status})

    async def hibernated(self, record: SessionRecord, image: SessionImage) -> None:
        async with self._database.begin() as connection:
            await store.update_session(connection, record.id, _resting(record))
            await store.put_image(connection, image)

    async def ended(self, record: SessionRecord, reason: str) -> None:
        """`record` says what it used, and when it was used last."""
        values: dict[str, Any] = {
            **_resting(record),
            "status": SessionStatus.TERMINATED,
            "ended_at": self._clock.now(),
            "end_reason": reason[:1000],
        }
        async with self._database.begin() as connection:
            await store.update_session(connection, record.id, values)
            await store.delete_image(connection, record.key.account, record.id)

    async def forget_ended(self, before: datetime, most: int) -> tuple[int, set[SessionKey]]:
        """Of all tenants' lives that ended before, so many at most: how many, and the sessions of which no
        life is known any more."""
        async with self._database.begin() as connection:
            return await store.delete_ended(connection, before, most)

    async def list(self, account: str, runtime_id: str, page: PageRequest) -> Page[SessionRecord]:
        """Newest first."""
        async with self._database.begin() as connection:
            found = await store.list_sessions(connection, account, runtime_id, page)
        cursor = store.SESSIONS.of(account, runtime_id)
        return cursor.page(page, found, key=lambda record: (record.started_at, record.id))

    async def find(
        self, account: str, runtime_id: str, session_id: str, endpoint: str | None
    ) -> SessionRecord | None:
        """The latest life of a session, at this endpoint or at any."""
        async with self._database.begin() as connection:
            return await store.find_session(connection, account, runtime_id, session_id, endpoint)

    async def image_bytes(self, account: str) -> int:
        """What the images of hibernated sessions and the snapshots take."""
        async with self._database.begin() as connection:
            asleep = await store.image_bytes(connection, account)
            return asleep + await snapshot_store.snapshot_bytes(connection, account)

    async def snapshots(self) -> tuple[set[str], set[str]]:
        """The images and the copies of storage that snapshots stand on, of all tenants."""
        async with self._database.begin() as connection:
            return await snapshot_store.kept(connection)


def _resting(record: SessionRecord) -> Mapping[str, Any]:
    return {
        "status": record.status,
        "last_used_at": record.last_used_at,
        "cpu_seconds": record.cpu_seconds,
        "memory_peak_mib": record.memory_peak_mib,
    }
