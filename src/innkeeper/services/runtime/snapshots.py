"""Snapshots: what sessions were at one time, kept by name; and the sessions that go on from them."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from sqlalchemy.exc import IntegrityError

from innkeeper.engines.sandbox.sandbox import SandboxError
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, InnkeeperError, NotFound, QuotaExceeded, RetryableConflict
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.runtime import snapshot_store as store
from innkeeper.services.runtime.directory import Directory
from innkeeper.services.runtime.forks import Forks, new_id
from innkeeper.services.runtime.hibernation import Hibernation, Sleeper
from innkeeper.services.runtime.model import (
    SessionImage,
    SessionKey,
    SessionRecord,
    SessionSnapshot,
    SessionStatus,
    check_snapshot_name,
)
from innkeeper.services.runtime.moments import Moments
from innkeeper.services.runtime.session_records import SessionRecords
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.storage import SessionStorage


class Snapshots:
    """An account keeps `most` at most."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        hibernation: Hibernation,
        moments: Moments,
        forks: Forks,
        records: SessionRecords,
        storage: SessionStorage,
        directory: Directory,
        most: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._hibernation = hibernation
        self._moments = moments
        self._forks = forks
        self._records = records
        self._storage = storage
        self._directory = directory
        self._most = most
        self._clock = clock

    async def take(self, record: SessionRecord, name: str | None) -> SessionSnapshot:
        """Of a session's memory and storage; it goes on as it was.

        Raises InvalidRequest, NotFound when it has ended, QuotaExceeded, RetryableConflict, and Conflict when
        it is at work, no image of it can be made, or the name is taken.
        """
        if name is not None:
            check_snapshot_name(name)
        return await asyncio.shield(self._sessions.lives.task(self._take(record, name)))

    async def list(self, account: str, runtime_id: str, page: PageRequest) -> Page[SessionSnapshot]:
        """Newest first."""
        async with self._database.begin() as connection:
            found = await store.list_snapshots(connection, account, runtime_id, page)
        cursor = store.SNAPSHOTS.of(account, runtime_id)
        return cursor.page(page, found, key=lambda one: (one.created_at, one.id))

    async def get(self, account: str, runtime_id: str, word: str) -> SessionSnapshot:
        """By its id or its name. Raises NotFound."""
        async with self._database.begin() as connection:
            found = await store.find_snapshot(connection, account, runtime_id, word)
        if found is None:
            raise NotFound(f"Agent runtime {runtime_id} has no snapshot {word[:64]}")
        return found

    async def delete(self, snapshot: SessionSnapshot) -> None:
        """What goes on from it lives on."""
        async with self._database.begin() as connection:
            await store.delete_snapshot(connection, snapshot.account, snapshot.id)
        await self._hibernation.images.delete(snapshot.image)
        if snapshot.storage is not None:
            await self._storage.discard(snapshot.storage)

    async def delete_all(self, account: str, runtime_id: str) -> None:
        async with self._database.begin() as connection:
            found = await store.snapshots_of(connection, account, runtime_id)
        for snapshot in found:
            await self.delete(snapshot)

    async def start(
        self, snapshot: SessionSnapshot, session_id: str | None = None, endpoint: str | None = None
    ) -> SessionRecord:
        """A new session that goes on from a snapshot, awake; without an id it gets a new one. Its age begins
        anew.

        Raises InvalidRequest, NotFound for an unknown endpoint, QuotaExceeded, RetryableConflict, and
        Conflict when the id is taken, the endpoint is at another version, or the snapshot fits this machine
        no more.
        """
        account, runtime_id = snapshot.account, snapshot.runtime_id
        target = await self._directory.find(account, runtime_id, endpoint or snapshot.endpoint)
        key = SessionKey(account, runtime_id, target.endpoint.name, new_id(session_id))
        _check_version(snapshot, f"endpoint {key.endpoint}", target.version.number)
        lifetime = timedelta(seconds=target.version.lifecycle.max_seconds)
        return await asyncio.shield(self._sessions.lives.task(self._start(snapshot, key, lifetime)))

    async def put_back(self, record: SessionRecord, snapshot: SessionSnapshot) -> SessionRecord:
        """Let a session go on from a snapshot, in memory and in storage, in the place of what it is now; when
        that cannot be done whole, it stays as it was. One that was awake is awake then. Its age goes on.

        Raises NotFound when it has ended, QuotaExceeded, RetryableConflict, and Conflict when it is at work,
        is of another version, or the snapshot fits this machine no more.
        """
        _check_version(snapshot, f"session {record.key.session_id}", record.version)
        return await asyncio.shield(self._sessions.lives.task(self._put_back(record.key, snapshot)))

    async def _take(self, record: SessionRecord, name: str | None) -> SessionSnapshot:
        await self._check_room(record, name)
        image, size_bytes = await self._moments.now(record)
        snapshot = SessionSnapshot(
            account=record.key.account,
            runtime_id=record.key.runtime_id,
            id=uuid4().hex,
            name=name,
            endpoint=record.key.endpoint,
            session_id=record.key.session_id,
            version=record.version,
            size_bytes=size_bytes,
            image=image.id,
            agent=image.agent,
            access_key_id=image.access_key_id,
            created_at=self._clock.now(),
            mcp_session=image.mcp_session,
            storage=image.storage,
            credentials=image.credentials,
        )
        try:
            async with self._database.begin() as connection:
                await store.insert_snapshot(connection, snapshot)
        except BaseException as error:
            await self._hibernation.drop(image)
            if isinstance(error, IntegrityError):
                raise _taken(name) from error
            raise
        return snapshot

    async def _check_room(self, record: SessionRecord, name: str | None) -> None:
        account, runtime_id = record.key.account, record.key.runtime_id
        async with self._database.begin() as connection:
            count = await store.count_snapshots(connection, account)
            taken = name is not None and await store.find_snapshot(connection, account, runtime_id, name)
        if count >= self._most:
            raise QuotaExceeded(f"An account keeps at most {self._most} snapshots of sessions; delete one")
        if taken:
            raise _taken(name)

    async def _start(self, snapshot: SessionSnapshot, key: SessionKey, lifetime: timedelta) -> SessionRecord:
        with self._sessions.lives.hold(key):
            await self._forks.check_free(key)
            image = await self._image(snapshot)
            sleeper = await self._forks.begin(key, snapshot.version, image, lifetime)
            try:
                await self._sessions.wake_held(sleeper)
            except InnkeeperError as error:
                await self._records.ended(sleeper.record, f"start failed: {error.message}")
                self._hibernation.remove(sleeper)
                await self._hibernation.images.delete(sleeper.image.id)
                await self._storage.forget(key)
                raise _unfit(error, "No session can go on from the snapshot") from error
        return replace(sleeper.record, status=SessionStatus.READY)

    async def _put_back(self, key: SessionKey, snapshot: SessionSnapshot) -> SessionRecord:
        with self._sessions.lives.hold(key):
            image = await self._image(snapshot)
            try:
                awake = await self._lay_down(key)
                was = self._hibernation.find(key)
                if was is None:
                    raise NotFound(f"Session {key.session_id} is not running")
                now = Sleeper(was.record, _put_on(image, was.image, snapshot, key))
                await self._records.put_image(now.image)
            except BaseException:
                await self._hibernation.drop(image)
                raise
            before = uuid4().hex
            await self._hibernation.settle(now, before)
            was = Sleeper(was.record, replace(was.image, storage=before))
            if awake:
                await self._wake_or_undo(now, was)
            await self._hibernation.drop(was.image)
        return replace(now.record, status=SessionStatus.READY if awake else SessionStatus.HIBERNATED)

    async def _lay_down(self, key: SessionKey) -> bool:
        """Whether it was awake: its image is what it goes back to if it cannot go on from the snapshot."""
        if self._sessions.lives.find(key) is None:
            return False
        await self._sessions.hibernate(self._sessions.get(key))
        return True

    async def _wake_or_undo(self, now: Sleeper, was: Sleeper) -> None:
        try:
            await self._sessions.wake_held(now)
        except InnkeeperError as error:
            await self._records.put_image(was.image)
            await self._hibernation.settle(was)
            await self._hibernation.drop(now.image)
            with suppress(InnkeeperError):  # else its next call wakes it
                await self._sessions.wake_held(was)
            raise _unfit(error, f"Session {now.record.key.session_id} stays as it was") from error

    async def _image(self, snapshot: SessionSnapshot) -> SessionImage:
        """A copy of a snapshot for a life that is still to be named. Raises Conflict, QuotaExceeded."""
        await self._hibernation.check_space(snapshot.account)
        try:
            copied = await self._hibernation.images.copy(snapshot.image)
        except SandboxError as error:
            raise Conflict(f"The snapshot cannot be used: {error}") from error
        image = SessionImage(
            account=snapshot.account,
            life="",
            id=copied.id,
            size_bytes=copied.size_bytes,
            agent=snapshot.agent,
            access_key_id=snapshot.access_key_id,
            ends_at=snapshot.created_at,
            credentials=snapshot.credentials,
        )
        try:
            storage = await self._storage.copy(snapshot.storage) if snapshot.storage else None
        except OSError as error:
            await self._hibernation.drop(image)
            raise Conflict(f"The snapshot's storage cannot be copied: {error.strerror or error}") from error
        return replace(image, storage=storage)


def _put_on(
    image: SessionImage, present: SessionImage, snapshot: SessionSnapshot, key: SessionKey
) -> SessionImage:
    """For a life that has a `present` image. The clients of MCP servers know the snapshot's own session."""
    own = (snapshot.endpoint, snapshot.session_id) == (key.endpoint, key.session_id)
    mcp_session = snapshot.mcp_session if own else present.mcp_session
    return replace(image, life=present.life, ends_at=present.ends_at, mcp_session=mcp_session)


def _check_version(snapshot: SessionSnapshot, whose: str, version: int) -> None:
    if version != snapshot.version:
        raise Conflict(
            f"The snapshot is of version {snapshot.version} of the agent, and {whose} is at version {version}"
        )


def _unfit(error: InnkeeperError, what: str) -> InnkeeperError:
    """What may pass is told as it is."""
    if isinstance(error, QuotaExceeded | RetryableConflict):
        return error
    return Conflict(f"{what}: {error.message}")


def _taken(name: str | None) -> Conflict:
    return Conflict(f"The agent has a snapshot named {name} already")
