"""A small, bounded memory of answers that may be a moment old."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from innkeeper.kernel.clock import Clock

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class TtlCache(Generic[Key, Value]):
    """Keeps a value for `seconds`; past `size` entries it forgets the oldest first."""

    def __init__(self, clock: Clock, seconds: float = 1.0, size: int = 10_000) -> None:
        self._clock = clock
        self._seconds = seconds
        self._size = size
        self._entries: dict[Key, tuple[float, Value]] = {}

    def get(self, key: Key) -> Value | None:
        """None when never put, forgotten, or too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        deadline, value = entry
        if self._clock.monotonic() >= deadline:
            self._entries.pop(key, None)
            return None
        return value

    def put(self, key: Key, value: Value) -> None:
        self._entries.pop(key, None)
        while len(self._entries) >= self._size:
            self._entries.pop(next(iter(self._entries)))
        self._entries[key] = (self._clock.monotonic() + self._seconds, value)

    def forget(self, key: Key) -> None:
        self._entries.pop(key, None)
