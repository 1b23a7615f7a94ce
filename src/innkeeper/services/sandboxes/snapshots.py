"""Snapshots, and what is made from them; forks, which are made from an image that nobody keeps."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.exc import IntegrityError

from innkeeper.engines.sandbox.images import Images
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound, QuotaExceeded
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.sandboxes import store
from innkeeper.services.sandboxes.model import (
    FORKS_MAX,
    SandboxRecord,
    SandboxState,
    SnapshotKind,
    SnapshotRecord,
    check_name,
    invalid,
    new_id,
)
from innkeeper.services.sandboxes.transitions import Transitions


class Snapshots:
    def __init__(
        self, database: Database, transitions: Transitions, images: Images, most: int, clock: Clock
    ) -> None:
        self._database = database
        self._transitions = transitions
        self._images = images
        self._most = most
        self._clock = clock

    async def take(self, record: SandboxRecord, name: str | None) -> SnapshotRecord:
        """Of a sandbox whose turn it is. Raises InvalidRequest, Conflict, QuotaExceeded."""
        await self._check_room(record.account, name)
        image = await self._transitions.image(record)
        snapshot = SnapshotRecord(
            account=record.account,
            id=new_id(),
            name=name,
            sandbox=record.id,
            template=record.template,
            ground=record.ground,
            network=record.network,
            kind=SnapshotKind(image.kind),
            size_bytes=image.size_bytes,
            image=image.id,
            created_at=self._clock.now(),
            egress=record.egress,
        )
        try:
            async with self._database.begin() as connection:
                await store.insert_snapshot(connection, snapshot)
        except BaseException as error:
            await self._images.delete(image.id)
            if isinstance(error, IntegrityError):
                raise _taken(name) from error
            raise
        return snapshot

    async def find(self, account: str, word: str) -> SnapshotRecord | None:
        """By its id or its name."""
        async with self._database.begin() as connection:
            return await store.find_snapshot(connection, account, word)

    async def get(self, account: str, word: str, kind: str = "Snapshot") -> SnapshotRecord:
        """By its id or its name. Raises NotFound."""
        found = await self.find(account, word)
        if found is None:
            raise NotFound(f"{kind} {word[:64]} does not exist")
        return found

    async def list(self, account: str, page: PageRequest) -> Page[SnapshotRecord]:
        """Newest first."""
        async with self._database.begin() as connection:
            found = await store.list_snapshots(connection, account, page)
        return store.SNAPSHOTS.page(page, found, key=lambda one: (one.created_at, one.id))

    async def delete(self, account: str, word: str) -> None:
        """What was made from it lives on. Raises NotFound."""
        found = await self.get(account, word)
        async with self._database.begin() as connection:
            await store.delete_snapshot(connection, account, found.id)
        await self._images.delete(found.image)

    async def fork(self, record: SandboxRecord, count: int) -> Sequence[SandboxRecord]:
        """New sandboxes that go on from where this one is, whose turn it is: all of them or none."""
        if not 1 <= count <= FORKS_MAX:
            raise invalid("count", f"must be 1 to {FORKS_MAX}")
        image = await self._transitions.image(record, durable=False)
        child = replace(
            record,
            state=SandboxState.RUNNING,
            image=None,
            image_bytes=0,
            cpu_seconds=0.0,
            memory_peak_mib=0.0,
        )
        try:
            return await self._transitions.start(
                [replace(child, id=new_id()) for _ in range(count)], image.id
            )
        finally:
            await self._images.delete(image.id)

    async def _check_room(self, account: str, name: str | None) -> None:
        if name is not None:
            check_name(name)
        async with self._database.begin() as connection:
            count = await store.count_snapshots(connection, account)
            taken = name is not None and (
                await store.find_snapshot(connection, account, name)
                or await store.find_template(connection, account, name)
            )
        if count >= self._most:
            raise QuotaExceeded(f"An account keeps at most {self._most} snapshots; delete one")
        if taken:
            raise _taken(name)


def _taken(name: str | None) -> Conflict:
    return Conflict(f"A snapshot or template named {name} exists already")
