"""Metering: sandboxes are read at intervals and at their end, and the ledger tells what was used."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from innkeeper.engines.sandbox.sandbox import Usage
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.services.usage import store
from innkeeper.services.usage.meter import Meter, Metered
from innkeeper.services.usage.model import Filter, Group, HourOfUse, Rates, Report, Subject

_LOG = logging.getLogger(__name__)
_BATCH = 500
_BETWEEN_PRUNINGS = timedelta(days=1)
_UNWRITTEN_MAX = 50_000


class Metering:
    def __init__(
        self, database: Database, clock: Clock, sample_seconds: float, retention_days: int, rates: Rates
    ) -> None:
        self._database = database
        self._clock = clock
        self._sample_seconds = sample_seconds
        self._retention = timedelta(days=retention_days)
        self.rates = rates
        self._meters: dict[str, Meter] = {}
        self._unwritten: dict[tuple[str, datetime], HourOfUse] = {}
        self._writing = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._pruned = datetime.min.replace(tzinfo=UTC)
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to read the meters at intervals, until `close`."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what there is. Sandboxes that live on are not read any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._try_to_write()

    def begin(
        self, subject: Subject, sandbox: Metered, since: float | None = None, before: Usage | None = None
    ) -> None:
        """Meter a sandbox from now, or from `since` (monotonic); less what it used `before` it was theirs."""
        started = self._clock.monotonic() if since is None else since
        self._meters[subject.id] = Meter(subject, sandbox, self._clock, started, before or Usage())

    async def end(self, subject_id: str) -> None:
        """Read the meter for the last time: before the sandbox is killed. One that is not there is let be.
        The reading is written soon, even if the database does not answer now."""
        meter = self._meters.pop(subject_id, None)
        if meter is not None:
            self._keep(await meter.finish())
            self._wanted.set()

    async def report(self, which: Filter, group: Group, limit: int) -> Report:
        """What was used, live sandboxes until now."""
        mine = [one for one in self._meters.values() if one.subject.account == which.account]
        await self._read(mine)
        await self._write()
        async with self._database.begin() as connection:
            return await store.report(connection, which, group, limit)

    async def _run(self) -> None:
        while True:
            try:
                await self._interval()
                await self._read(list(self._meters.values()))
                await self._try_to_write()
                await self._prune()
            except Exception:
                _LOG.exception("reading the meters failed; they are read again after the interval")

    async def _interval(self) -> None:
        """Until it is time to read all meters; what ended meanwhile is written at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._sample_seconds):
                while True:
                    await self._wanted.wait()
                    self._wanted.clear()
                    await self._try_to_write()

    async def _read(self, meters: list[Meter]) -> None:
        async def read(meter: Meter) -> None:
            self._keep(await meter.read())  # at once: a later reading must not be written over

        await asyncio.gather(*map(read, meters))

    async def _prune(self) -> None:
        """Forget, once a day, what is older than the retention."""
        now = self._clock.now()
        if now - self._pruned >= _BETWEEN_PRUNINGS:
            async with self._database.begin() as connection:
                await store.delete_before(connection, now - self._retention)
            self._pruned = now

    def _keep(self, hour: HourOfUse) -> None:
        key = hour.subject.id, hour.hour
        if len(self._unwritten) >= _UNWRITTEN_MAX and key not in self._unwritten:
            _LOG.error("a record of use is lost: the database does not take them")
            return
        self._unwritten[key] = hour

    async def _try_to_write(self) -> None:
        try:
            await self._write()
        except SQLAlchemyError as error:
            # The error's own text holds the rows.
            _LOG.error("records of use cannot be written yet: %s", type(error).__name__)

    async def _write(self) -> None:
        """Raises SQLAlchemyError, and then keeps what is not written."""
        async with self._writing:
            while batch := list(self._unwritten.items())[:_BATCH]:
                async with self._database.begin() as connection:
                    await store.put(connection, [hour for _, hour in batch])
                for key, hour in batch:
                    if self._unwritten.get(key) is hour:
                        del self._unwritten[key]
