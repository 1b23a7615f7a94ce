"""From one state of a sandbox to another, each done whole or rolled back.

The caller holds the sandbox's turn (`Lives.in_turn`), and `record` is what the database says of it.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from innkeeper.engines.sandbox.images import Image, ImageKind, Images
from innkeeper.engines.sandbox.sandbox import Sandbox, SandboxError, SandboxGone, Usage
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound
from innkeeper.services.sandboxes import store
from innkeeper.services.sandboxes.lives import Live, Lives
from innkeeper.services.sandboxes.model import SandboxRecord, SandboxState
from innkeeper.services.sandboxes.provisioning import Provisioner, Rules
from innkeeper.services.sandboxes.quota import Quota
from innkeeper.services.usage.model import Kind, Subject
from innkeeper.services.usage.service import Metering


class Transitions:
    def __init__(
        self,
        database: Database,
        lives: Lives,
        provisioner: Provisioner,
        images: Images,
        rules: Rules,
        metering: Metering,
        host: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._metering = metering
        self._lives = lives
        self._provisioner = provisioner
        self._images = images
        self._quota = Quota(database, rules.image_bytes)
        self._host = host
        self._clock = clock

    async def start(self, records: Sequence[SandboxRecord], image: str | None) -> list[SandboxRecord]:
        """New ones, all of them or none; fresh ones or, with an image, copies of what it is of."""
        with self._lives.place(len(records)):
            made = await self._started(records, image)
            try:
                begun = [self._begun(record) for record in records]
                async with self._database.begin() as connection:
                    await store.insert_sandboxes(connection, begun)
            except BaseException:
                await asyncio.gather(*(sandbox.kill() for sandbox in made), return_exceptions=True)
                raise
            for record, sandbox in zip(begun, made, strict=True):
                self._add(record, sandbox)
        return begun

    async def _started(self, records: Sequence[SandboxRecord], image: str | None) -> list[Sandbox]:
        """As many at a time as there are processors."""
        turns = asyncio.Semaphore(os.cpu_count() or 1)

        async def start(record: SandboxRecord) -> Sandbox:
            async with turns:
                return await self._provisioner.start(record, image)

        starting = [asyncio.create_task(start(record)) for record in records]
        try:
            return await asyncio.gather(*starting)
        except BaseException:
            for task in starting:
                task.cancel()
            await asyncio.wait(starting)
            made = [task.result() for task in starting if not task.cancelled() and not task.exception()]
            await asyncio.gather(*(sandbox.kill() for sandbox in made), return_exceptions=True)
            raise

    async def pause(self, record: SandboxRecord) -> SandboxRecord:
        live = self._lives.get(record.id)
        if live is None or not live.running:
            return record
        try:
            await live.sandbox.pause()
        except SandboxError as error:
            raise Conflict(f"Sandbox {record.id} cannot be paused: {error}") from error
        try:
            paused = await self._lives.update(record, state=SandboxState.PAUSED)
        except BaseException:
            await live.sandbox.resume()
            raise
        live.touch()
        return paused

    async def hibernate(self, record: SandboxRecord) -> SandboxRecord:
        live = self._lives.get(record.id)
        if live is None:
            return record
        if live.uses:
            raise Conflict(f"Sandbox {record.id} is at work on files; hibernate it when it is done")
        async with self._posed(live):
            image = await self._take(live, go_on=False)
            used = total(record, await live.usage())
            try:
                asleep = await self._lives.update(
                    record,
                    state=SandboxState.HIBERNATED,
                    image=image.id,
                    image_bytes=image.size_bytes,
                    cpu_seconds=used.cpu_seconds,
                    memory_peak_mib=used.memory_peak_mib,
                )
            except BaseException:
                await self._bring_back(live, image)
                raise
            self._lives.remove(live)
        await self._put_away(live)
        if record.image is not None:
            await self._images.delete(record.image)
        return asleep

    async def awake(self, record: SandboxRecord, seconds: int | None = None) -> Live:
        """One that was not awake lives for so long from now, or as long as at first; one that was, for at
        least so long."""
        live = self._lives.get(record.id)
        if live is None:
            return await self._woken(record, seconds)
        ends_at = self._ends_at(seconds or record.timeout_seconds)
        if not live.running:
            try:
                await live.sandbox.resume()
            except SandboxGone as error:
                raise NotFound(f"Sandbox {record.id} has ended") from error
            try:
                await self._lives.update(record, state=SandboxState.RUNNING, ends_at=ends_at)
            except BaseException:
                await live.sandbox.pause()
                raise
        elif seconds is not None and ends_at > record.ends_at:
            await self._lives.update(record, ends_at=ends_at)
        live.touch()
        return live

    async def terminate(self, record: SandboxRecord, reason: str) -> SandboxRecord:
        live = self._lives.get(record.id)
        used = total(record, await live.usage() if live else Usage())
        if live is not None:
            self._lives.remove(live)
            await self._put_away(live)
        now = self._clock.now()
        ended = await self._lives.update(
            record,
            state=SandboxState.TERMINATED,
            ended_at=now,
            end_reason=reason,
            image=None,
            image_bytes=0,
            cpu_seconds=used.cpu_seconds,
            memory_peak_mib=used.memory_peak_mib,
        )
        if record.image is not None:
            await self._images.delete(record.image)
        return ended

    async def image(self, record: SandboxRecord, *, durable: bool = True) -> Image:
        """One more image of the sandbox, which goes on as it was; one that is not `durable` is for copies
        that are made at once. Raises Conflict, QuotaExceeded."""
        if not durable:
            await self._provisioner.expect(record)
        live = self._lives.get(record.id)
        if live is not None:
            async with self._posed(live):
                return await self._take(live, go_on=True, durable=durable)
        assert record.image is not None  # it is hibernated
        await self._quota.check(record.account)
        try:
            return await self._images.copy(record.image)
        except SandboxError as error:
            raise Conflict(f"Sandbox {record.id} cannot be copied: {error}") from error

    async def _take(self, live: Live, *, go_on: bool, durable: bool = True) -> Image:
        await self._quota.check(live.record.account)
        try:
            return await self._images.take(live.sandbox, go_on=go_on, durable=durable)
        except SandboxGone as error:
            raise NotFound(f"Sandbox {live.record.id} has ended") from error
        except SandboxError as error:
            raise Conflict(f"No image of sandbox {live.record.id} can be made: {error}") from error

    async def _woken(self, record: SandboxRecord, seconds: int | None) -> Live:
        """Its image stays until it is hibernated again: what a crash would leave of it."""
        with self._lives.place(1):
            sandbox = await self._provisioner.start(record, record.image)
            try:
                awake = await self._lives.update(
                    record,
                    state=SandboxState.RUNNING,
                    ends_at=self._ends_at(seconds or record.timeout_seconds),
                    host=self._host,
                )
            except BaseException:
                await sandbox.kill()
                raise
            return self._add(awake, sandbox)

    async def _bring_back(self, live: Live, image: Image) -> None:
        """A sandbox that was to be hibernated goes on: the same, or one made from the image that it ended
        with."""
        if image.kind is ImageKind.FILES:
            await self._images.let_go_on(live.sandbox)
        else:
            self._lives.remove(live)
            await self._put_away(live)
            sandbox = await self._provisioner.start(live.record, image.id)
            if not live.running:
                await sandbox.pause()
            self._add(live.record, sandbox)
        await self._images.delete(image.id)

    async def _put_away(self, live: Live) -> None:
        await self._metering.end(live.id)
        await live.sandbox.kill()

    @asynccontextmanager
    async def _posed(self, live: Live) -> AsyncIterator[None]:
        """An image of files is made by processes inside: they must run. Afterwards, unless it was let go, the
        sandbox is as it was."""
        before = live.running
        during = before if await self._images.of_memory() else True
        try:
            await _set_running(live.sandbox, during)
        except SandboxGone as error:
            raise NotFound(f"Sandbox {live.record.id} has ended") from error
        except SandboxError as error:
            raise Conflict(f"No image of sandbox {live.record.id} can be made: {error}") from error
        try:
            yield
        finally:
            if self._lives.get(live.record.id) is live:
                await _set_running(live.sandbox, before)

    def _add(self, record: SandboxRecord, sandbox: Sandbox) -> Live:
        live = self._lives.add(record, sandbox)
        subject = Subject(live.id, record.account, Kind.SANDBOX, record.template, record.id)
        self._metering.begin(subject, sandbox)
        live.watch = asyncio.create_task(self._watch(live))
        return live

    async def _watch(self, live: Live) -> None:
        await live.sandbox.closed()

        async def end(record: SandboxRecord) -> None:
            if self._lives.get(record.id) is live:
                await self.terminate(record, "its sandbox ended")

        with suppress(NotFound):  # somebody ended it
            await self._lives.in_turn(live.record.account, live.record.id, end)

    def _begun(self, record: SandboxRecord) -> SandboxRecord:
        """Its time runs from now."""
        now = self._clock.now()
        return replace(record, started_at=now, changed_at=now, ends_at=self._ends_at(record.timeout_seconds))

    def _ends_at(self, seconds: int) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)


async def _set_running(sandbox: Sandbox, running: bool) -> None:
    await (sandbox.resume() if running else sandbox.pause())


def total(record: SandboxRecord, now: Usage) -> Usage:
    """What a sandbox used in all its lives; memory and processes are those of the present one."""
    return replace(
        now,
        cpu_seconds=record.cpu_seconds + now.cpu_seconds,
        memory_peak_mib=max(record.memory_peak_mib, now.memory_peak_mib),
    )
