"""How long sessions that have ended can be asked about. The ledger of their use is kept by itself."""

import asyncio
from datetime import timedelta
from pathlib import Path

from innkeeper.kernel.clock import Clock
from innkeeper.services.runtime.model import SessionKey
from innkeeper.services.runtime.session_log import delete_log, log_of
from innkeeper.services.runtime.session_records import SessionRecords

_AT_ONCE = 500


class Retention:
    """`days` long; then go the records of their lives and, with the last of a session, its log."""

    def __init__(self, records: SessionRecords, logs: Path, days: int, clock: Clock) -> None:
        self._records = records
        self._logs = logs
        self._days = days
        self._clock = clock

    async def forget_ended(self) -> int:
        """How many lives."""
        before = self._clock.now() - timedelta(days=self._days)
        count, more = 0, _AT_ONCE
        while more == _AT_ONCE:
            more, forgotten = await self._records.forget_ended(before, _AT_ONCE)
            await asyncio.to_thread(self._delete_logs, forgotten)
            count += more
        return count

    def _delete_logs(self, keys: set[SessionKey]) -> None:
        for key in keys:
            delete_log(log_of(self._logs, key))
