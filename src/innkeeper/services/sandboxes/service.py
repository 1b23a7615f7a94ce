"""Sandboxes: made, found, used, paused, hibernated, woken, copied and ended.

Every change of a sandbox is done whole or rolled back, one at a time. Who wants to use it or to end it waits
for a change under way; who wants to change it otherwise is refused with Conflict.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from innkeeper.engines.sandbox.images import Images
from innkeeper.engines.sandbox.sandbox import Egress, Network, Sandbox, SandboxError, Usage
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound, Unavailable
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.sandboxes import store
from innkeeper.services.sandboxes.lives import Live, Lives
from innkeeper.services.sandboxes.model import (
    BUILT_IN,
    NewSandbox,
    OnTimeout,
    SandboxRecord,
    SandboxState,
    SnapshotRecord,
    Source,
    TemplateState,
    check_filter,
    check_new,
    check_timeout,
    invalid,
    network_of,
    new_id,
)
from innkeeper.services.sandboxes.provisioning import Provisioner, Rules
from innkeeper.services.sandboxes.snapshots import Snapshots
from innkeeper.services.sandboxes.templates import Templates
from innkeeper.services.sandboxes.transitions import Transitions, total
from innkeeper.services.usage.service import Metering

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 60.0
_STOP_SECONDS = 20.0
ALIVE = (SandboxState.RUNNING, SandboxState.PAUSED, SandboxState.HIBERNATED)


class Sandboxes:
    def __init__(
        self,
        database: Database,
        provisioner: Provisioner,
        images: Images,
        templates: Templates,
        rules: Rules,
        metering: Metering,
        host: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._provisioner = provisioner
        self._images = images
        self.templates = templates
        self._rules = rules
        self._host = host
        self._clock = clock
        self._lives = Lives(database, clock, rules.sandboxes)
        self._transitions = Transitions(
            database, self._lives, provisioner, images, rules, metering, host, clock
        )
        self._snapshots = Snapshots(database, self._transitions, images, rules.snapshots, clock)
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Close what a killed server of this host left open: what has an image goes back to it, of the others
        the processes are gone. From now on sandboxes whose time comes are put to rest."""
        async with self._database.begin() as connection:
            await store.recover_host(connection, self._host, self._clock.now(), "the server was restarted")
            keep = await store.images(connection)
        await self._images.sweep(keep)
        await self.templates.recover()
        self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Hibernate those that are to be kept, end the others."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        lives = self._lives.all
        kept = [one for one in lives if not one.running or one.record.on_timeout is not OnTimeout.KILL]
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.gather(*map(self._keep, kept))
        except TimeoutError:
            _LOG.warning("not every sandbox could be hibernated in %g s", _STOP_SECONDS)
        await self._lives.settled(_STOP_SECONDS)
        await asyncio.gather(*map(self._end_with_server, self._lives.all), return_exceptions=True)
        await self.templates.close()
        await self._provisioner.close()

    async def create(self, account: str, new: NewSandbox, egress: Egress | None = None) -> SandboxRecord:
        """With the network `listed`, `egress` is what it may reach; without, that of the snapshot. Raises
        InvalidRequest, NotFound (no such template), QuotaExceeded, Unavailable."""
        limits = check_new(new, self._rules.most, self._rules.timeout_seconds)
        if egress is not None and new.network != Network.LISTED:
            raise invalid("egress", "needs the network listed")
        source = await self._source(account, new.template, new.home)
        now = self._clock.now()
        record = SandboxRecord(
            account=account,
            id=new_id(),
            template=source.template,
            ground=source.ground,
            state=SandboxState.RUNNING,
            metadata=dict(new.metadata),
            network=network_of(new.network, source),
            limits=limits,
            on_timeout=new.on_timeout,
            timeout_seconds=new.timeout_seconds,
            host=self._host,
            started_at=now,
            ends_at=now,
            changed_at=now,
            environment=self._provisioner.sealed(account, new.environment),
            egress=self._provisioner.sealed_egress(account, egress) if egress else source.egress,
        )
        (made,) = await self._lives.whole(self._transitions.start([record], source.image))
        return made

    async def get(self, account: str, id_: str) -> SandboxRecord:
        """One that has ended, too. Raises NotFound."""
        return await self._lives.find(account, id_)

    async def account_of(self, id_: str) -> str:
        """For callers who come with something else than a tenant, which is to be checked then. Raises
        NotFound, also once it has ended."""
        async with self._database.begin() as connection:
            account = await store.account_of(connection, id_)
        if account is None:
            raise NotFound(f"Sandbox {id_[:40]} does not exist")
        return account

    async def list(
        self, account: str, states: Sequence[SandboxState], metadata: Mapping[str, str], page: PageRequest
    ) -> Page[SandboxRecord]:
        """Newest first: those in these states, or in any but TERMINATED, that have all of this metadata."""
        check_filter(metadata)
        async with self._database.begin() as connection:
            found = await store.list_sandboxes(connection, account, states or ALIVE, metadata, page)
        return store.SANDBOXES.page(page, found, key=lambda record: (record.started_at, record.id))

    async def live(self, account: str, id_: str) -> Sandbox:
        """To run something in it. It is woken if need be, for as long as it was to live at first. Raises
        NotFound, also once it has ended."""
        return (await self._used(account, id_)).sandbox

    @asynccontextmanager
    async def use(self, account: str, id_: str) -> AsyncIterator[Sandbox]:
        """As `live`, for short work such as a file's transfer: it is not hibernated meanwhile."""
        live = await self._used(account, id_)
        live.uses += 1
        try:
            yield live.sandbox
        finally:
            live.uses -= 1
            live.touch()

    async def pause(self, account: str, id_: str) -> SandboxRecord:
        """Idempotent. Raises NotFound, Conflict."""
        return await self._lives.change(account, id_, self._transitions.pause)

    async def hibernate(self, account: str, id_: str) -> SandboxRecord:
        """Onto disk, and its processes end. Idempotent. Raises NotFound, Conflict, QuotaExceeded."""
        return await self._lives.change(account, id_, self._transitions.hibernate)

    async def resume(self, account: str, id_: str, timeout_seconds: int | None = None) -> SandboxRecord:
        """Wake it if need be; it lives for at least so long from now. Raises NotFound, Unavailable."""
        if timeout_seconds is not None:
            check_timeout(timeout_seconds, self._rules.timeout_seconds)
        awake = partial(self._transitions.awake, seconds=timeout_seconds)
        return (await self._lives.in_turn(account, id_, awake)).record

    async def set_timeout(self, account: str, id_: str, seconds: int) -> SandboxRecord:
        """It lives for so long from now. Raises NotFound."""
        check_timeout(seconds, self._rules.timeout_seconds)

        async def put_off(record: SandboxRecord) -> SandboxRecord:
            ends_at = self._clock.now() + timedelta(seconds=seconds)
            return await self._lives.update(record, ends_at=ends_at, timeout_seconds=seconds)

        return await self._lives.in_turn(account, id_, put_off)

    def egress(self, record: SandboxRecord) -> Egress:
        """What it may reach where its network is `listed`."""
        return self._provisioner.egress(record)

    async def set_egress(self, account: str, id_: str, egress: Egress) -> SandboxRecord:
        """Put another list in the place of the one in force. Raises NotFound, InvalidRequest; Conflict where
        its network is not `listed`."""
        sealed = self._provisioner.sealed_egress(account, egress)

        async def change(record: SandboxRecord) -> SandboxRecord:
            if record.network != Network.LISTED:
                raise Conflict(f"Sandbox {id_} has network {record.network}, which no list changes")
            if live := self._lives.get(id_):
                try:
                    await live.sandbox.set_egress(egress)
                except SandboxError as error:
                    raise Unavailable(f"The network could not be changed: {error}") from error
            return await self._lives.update(record, egress=sealed)

        return await self._lives.in_turn(account, id_, change)

    async def kill(self, account: str, id_: str) -> SandboxRecord:
        """Raises NotFound, also when it has ended."""
        end = partial(self._transitions.terminate, reason="it was killed")
        return await self._lives.in_turn(account, id_, end)

    async def forget_ended(self) -> int:
        """The records of those that ended before the days for which they are kept; how many."""
        before = self._clock.now() - timedelta(days=self._rules.ended_days)
        async with self._database.begin() as connection:
            return await store.delete_ended(connection, before)

    async def usage(self, account: str, id_: str) -> Usage:
        """All that it used in its lives; memory and processes are those of now. Raises NotFound."""
        record = await self.get(account, id_)
        live = self._lives.get(id_)
        return total(record, await live.usage() if live else Usage())

    async def snapshot(self, account: str, id_: str, name: str | None = None) -> SnapshotRecord:
        """A durable copy; the sandbox goes on as it was. Raises NotFound, Conflict, QuotaExceeded."""
        return await self._lives.change(account, id_, partial(self._snapshots.take, name=name))

    async def snapshots(self, account: str, page: PageRequest) -> Page[SnapshotRecord]:
        """Newest first."""
        return await self._snapshots.list(account, page)

    async def get_snapshot(self, account: str, word: str) -> SnapshotRecord:
        """By its id or its name. Raises NotFound."""
        return await self._snapshots.get(account, word)

    async def delete_snapshot(self, account: str, word: str) -> None:
        """By its id or its name; what was made from it lives on. Raises NotFound."""
        await self._snapshots.delete(account, word)

    async def fork(self, account: str, id_: str, count: int = 1) -> Sequence[SandboxRecord]:
        """New sandboxes that go on from where this one is, all of them or none; it goes on as it was. Raises
        NotFound, Conflict, InvalidRequest, QuotaExceeded, Unavailable."""
        return await self._lives.change(account, id_, partial(self._snapshots.fork, count=count))

    async def _source(self, account: str, template: str, home: str) -> Source:
        if template in BUILT_IN:
            return Source(template, await self.templates.built_in(template, home))
        if declared := await self.templates.find(account, template):
            if declared.state is not TemplateState.READY:
                raise Conflict(f"Template {template} is {declared.state}")
            return Source(template, declared.ground, declared.spec.network, declared.kind, declared.image)
        snapshot = await self._snapshots.get(account, template, "Template or snapshot")
        return Source(
            snapshot.template,
            snapshot.ground,
            snapshot.network,
            snapshot.kind,
            snapshot.image,
            snapshot.egress,
        )

    async def _used(self, account: str, id_: str) -> Live:
        live = self._lives.get(id_)
        ready = live is not None and live.running and not self._lives.changing(id_)
        if live is None or not ready or live.record.account != account:
            live = await self._lives.in_turn(account, id_, self._transitions.awake)
        live.touch()
        return live

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._rules.sweep_seconds)
            await asyncio.gather(*map(self._look_at, self._lives.all))

    async def _look_at(self, live: Live) -> None:
        """Put it to rest if its time has come."""
        now = self._clock.monotonic()
        asleep = not live.running and 0 < self._rules.hibernate_seconds <= now - live.last_used
        over = live.running and self._clock.now() >= live.record.ends_at
        if now < live.not_before or not (asleep or over) or self._lives.changing(live.record.id):
            return
        change = self._timed_out if over else self._transitions.hibernate
        try:
            await self._lives.in_turn(live.record.account, live.record.id, change)
        except NotFound:
            return
        except Exception as error:
            live.not_before = now + _RETRY_SECONDS
            _LOG.warning("sandbox %s could not be put to rest: %s", live.record.id, error)

    async def _timed_out(self, record: SandboxRecord) -> SandboxRecord:
        if self._clock.now() < record.ends_at:
            return record
        if record.on_timeout is OnTimeout.KILL:
            return await self._transitions.terminate(record, "its time was over")
        try:
            return await self._transitions.pause(record)
        except Conflict:  # sandboxes cannot be paused here
            return await self._transitions.hibernate(record)

    async def _keep(self, live: Live) -> None:
        try:
            await self._lives.in_turn(live.record.account, live.record.id, self._transitions.hibernate)
        except Exception as error:
            _LOG.warning("sandbox %s could not be hibernated: %s", live.record.id, error)

    async def _end_with_server(self, live: Live) -> None:
        end = partial(self._transitions.terminate, reason="the server was stopped")
        await self._lives.in_turn(live.record.account, live.record.id, end)
