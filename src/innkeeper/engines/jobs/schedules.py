"""Jobs that start by the clock.

Every worker keeps the same schedules. The time that is due is part of the job's key, so that of all workers'
starts the first one counts and the others do nothing. What fell due while no worker ran is not made up for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from innkeeper.engines.jobs.cron import Cron
from innkeeper.engines.jobs.jobs import Payload

_LOG = logging.getLogger(__name__)
# Short enough to notice soon that the wall clock was set.
_NAP_SECONDS = 30.0


class Schedules:
    """`start(kind, key, payload)` is called for each time of each line, from `open` until `close`."""

    def __init__(self, start: Callable[[str, str, Payload], Awaitable[None]]) -> None:
        self._start = start
        self._lines: dict[str, Cron] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_open = False

    def add(self, kind: str, line: str) -> None:
        """Raises ValueError when `line` is no cron line. Replaces the kind's earlier line."""
        self._lines[kind] = Cron.parse(line)
        if self._is_open:
            self._keep(kind)

    def open(self) -> None:
        self._is_open = True
        for kind in self._lines:
            self._keep(kind)

    async def close(self) -> None:
        self._is_open = False
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def _keep(self, kind: str) -> None:
        if kind in self._tasks:
            self._tasks[kind].cancel()
        self._tasks[kind] = asyncio.create_task(self._run(kind, self._lines[kind]))

    async def _run(self, kind: str, cron: Cron) -> None:
        due = cron.next_after(datetime.now(UTC))
        while True:
            left = (due - datetime.now(UTC)).total_seconds()
            if left > 0:
                await asyncio.sleep(min(left, _NAP_SECONDS))
                continue
            try:
                await self._start(kind, f"{kind}@{due:%Y-%m-%dT%H:%M:%SZ}", {})
            except Exception:
                _LOG.exception("the scheduled job %s of %s did not start", kind, due)
            due = cron.next_after(max(due, datetime.now(UTC)))
