"""The meter of one sandbox."""

import asyncio
from typing import Protocol

from innkeeper.engines.sandbox.sandbox import SandboxError, Usage
from innkeeper.kernel.clock import Clock
from innkeeper.services.usage.model import (
    LEAST_MEMORY_MIB,
    LEAST_SECONDS,
    HourOfUse,
    Subject,
    Used,
    hour_of,
)

_READ_TIMEOUT_SECONDS = 5.0


class Metered(Protocol):
    """A `Sandbox`, as far as a meter knows it."""

    async def usage(self) -> Usage: ...


class Meter:
    """`since` is a reading of the monotonic clock; `before` is what the sandbox had used until then.

    A peak of memory counts from the beginning of the interval in which it was reached.
    """

    def __init__(self, subject: Subject, sandbox: Metered, clock: Clock, since: float, before: Usage) -> None:
        self.subject = subject
        self._sandbox = sandbox
        self._clock = clock
        self._started = self._counted_until = since
        self._cpu_seconds = self._cpu_counted = before.cpu_seconds
        self._peak_mib = 0.0
        self._hour = HourOfUse(subject, hour_of(clock.now()), Used())
        self._finished = False

    async def read(self) -> HourOfUse:
        """What was used in this hour until now."""
        await self._measure()
        return self._count(self._clock.monotonic())

    async def finish(self) -> HourOfUse:
        """The last reading, which fills up the least that is charged. Nothing is counted after it."""
        await self._measure()
        hour = self._count(max(self._clock.monotonic(), self._started + LEAST_SECONDS))
        self._finished = True
        return hour

    async def _measure(self) -> None:
        """A sandbox that is gone, or does not answer, has used what it had when it last did."""
        try:
            async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
                usage = await self._sandbox.usage()
        except (SandboxError, OSError):  # a TimeoutError is an OSError
            return
        self._cpu_seconds = max(self._cpu_seconds, usage.cpu_seconds)
        self._peak_mib = max(self._peak_mib, usage.memory_peak_mib)

    def _count(self, until: float) -> HourOfUse:
        """Add what is not counted yet to the hour that it is now."""
        if self._finished:
            return self._hour
        seconds = max(until - self._counted_until, 0.0)
        hour = hour_of(self._clock.now())
        so_far = self._hour.used if hour == self._hour.hour else Used()
        used = Used(
            seconds=so_far.seconds + seconds,
            cpu_seconds=so_far.cpu_seconds + self._cpu_seconds - self._cpu_counted,
            memory_mib_seconds=so_far.memory_mib_seconds + seconds * max(self._peak_mib, LEAST_MEMORY_MIB),
            memory_peak_mib=self._peak_mib,
        )
        self._counted_until, self._cpu_counted = self._counted_until + seconds, self._cpu_seconds
        self._hour = HourOfUse(self.subject, hour, used)
        return self._hour
