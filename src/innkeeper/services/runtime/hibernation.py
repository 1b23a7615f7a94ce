"""The hibernated sessions of this host: a record of each, and an image on disk that it is woken from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from innkeeper.engines.sandbox.images import Image, Images
from innkeeper.engines.sandbox.sandbox import SandboxError
from innkeeper.kernel.errors import Conflict, QuotaExceeded
from innkeeper.services.runtime.model import SessionImage, SessionKey, SessionRecord
from innkeeper.services.runtime.session import Session
from innkeeper.services.runtime.session_records import SessionRecords
from innkeeper.services.runtime.storage import SessionStorage

_CANNOT = (
    "Sessions cannot be hibernated, copied or put back here: no image can be made of the memory of this "
    "server's sandboxes. The gvisor driver can: INNKEEPER_SANDBOX_DRIVER=gvisor"
)


@dataclass(frozen=True, slots=True)
class Sleeper:
    record: SessionRecord
    image: SessionImage


class Hibernation:
    """The images and snapshots of an account may take `image_bytes`."""

    def __init__(
        self, images: Images, records: SessionRecords, storage: SessionStorage, image_bytes: int
    ) -> None:
        self.images = images
        self._records = records
        self._storage = storage
        self._image_bytes = image_bytes
        self._sleepers: dict[SessionKey, Sleeper] = {}

    @property
    def all(self) -> Sequence[Sleeper]:
        return tuple(self._sleepers.values())

    async def recover(self) -> None:
        """After a restart, those of before are hibernated still."""
        for record, image in await self._records.recover():
            await self.settle(Sleeper(record, image))
        images, copies = await self._records.snapshots()
        await self.images.sweep(images | {one.image.id for one in self.all})
        await self._storage.sweep(copies)

    def find(self, key: SessionKey) -> Sleeper | None:
        return self._sleepers.get(key)

    def overdue(self, now: datetime) -> Sequence[Sleeper]:
        """Those whose life is over: its clock goes on while they sleep."""
        return [one for one in self.all if one.image.ends_at <= now]

    def add(self, sleeper: Sleeper) -> None:
        self._sleepers[sleeper.record.key] = sleeper

    async def begin(self, sleeper: Sleeper) -> None:
        """A new session, which sleeps. When it cannot be noted, there is neither it nor its image."""
        try:
            await self._records.insert_hibernated(sleeper.record, sleeper.image)
        except BaseException:
            await self.drop(sleeper.image)
            raise
        await self.settle(sleeper)

    async def settle(self, sleeper: Sleeper, before: str | None = None) -> None:
        """One that was noted: its storage goes to its place; what was there is the copy `before` then."""
        if sleeper.image.storage is not None:
            record = sleeper.record
            await self._storage.put(record.key, record.version, sleeper.image.storage, before)
        self.add(sleeper)

    async def drop(self, image: SessionImage) -> None:
        """One that no session goes on from."""
        await self.images.delete(image.id)
        if image.storage is not None:
            await self._storage.discard(image.storage)

    def remove(self, sleeper: Sleeper) -> None:
        """Its image stays."""
        self._sleepers.pop(sleeper.record.key, None)

    async def take(self, session: Session, *, go_on: bool) -> SessionImage:
        """Unless it is to `go_on`, the session's sandbox has ended then. Raises Conflict, QuotaExceeded; then
        there is no image, and the sandbox is as before."""
        await self.check_space(session.key.account)
        if not await self.images.of_memory():
            raise Conflict(_CANNOT)
        try:
            image = await self.images.take(session.sandbox, go_on=go_on)
        except SandboxError as error:
            raise Conflict(f"No image of session {session.key.session_id} can be made: {error}") from error
        return _image_of(session, image)

    async def copy(self, sleeper: Sleeper) -> SessionImage:
        """Of the same bytes, which are on disk only once. Raises Conflict, QuotaExceeded."""
        await self.check_space(sleeper.image.account)
        try:
            copied = await self.images.copy(sleeper.image.id)
        except SandboxError as error:
            raise Conflict(f"Session {sleeper.record.key.session_id} cannot be copied: {error}") from error
        return replace(sleeper.image, id=copied.id, storage=None)

    async def check_space(self, account: str) -> None:
        """Raises QuotaExceeded."""
        taken, most = await self._records.image_bytes(account), self._image_bytes
        if taken >= most:
            raise QuotaExceeded(
                f"Hibernated sessions and snapshots take {taken} bytes; an account may have {most}"
            )


def _image_of(session: Session, image: Image) -> SessionImage:
    lifetime = timedelta(seconds=session.version.lifecycle.max_seconds)
    return SessionImage(
        account=session.key.account,
        life=session.id,
        id=image.id,
        size_bytes=image.size_bytes,
        agent=session.agent.id,
        access_key_id=session.agent_key_id,
        ends_at=session.record.started_at + lifetime,
        mcp_session=session.mcp_session,
        credentials=session.seal_credentials(),
    )
