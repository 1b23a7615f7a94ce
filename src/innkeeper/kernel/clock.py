"""Time, as a thing that can be handed in, so that tests need not wait for it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, timezone-aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring durations."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
