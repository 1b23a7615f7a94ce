"""A clock that a test sets forward."""

from datetime import UTC, datetime, timedelta


class SettableClock:
    def __init__(self) -> None:
        self._seconds = 1000.0
        self._start = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    def pass_time(self, seconds: float) -> None:
        self._seconds += seconds
