"""What sandboxes used, over time, in the words of E2B."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from innkeeper.engines.sandbox.sandbox import Usage
from innkeeper.kernel.call import Document
from innkeeper.services.sandboxes.model import SandboxRecord

_POINTS_MAX = 720
INTERVAL_SECONDS = 5.0
"""Of E2B's own: with the points that are kept, an hour."""


@dataclass(frozen=True, slots=True)
class Point:
    moment: datetime
    cpu_seconds: float
    memory_mib: float

    @classmethod
    def of(cls, moment: datetime, usage: Usage) -> "Point":
        return cls(moment, usage.cpu_seconds, usage.memory_mib)


class Meter:
    """The last points of a sandbox, the oldest first."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.points: deque[Point] = deque(maxlen=_POINTS_MAX)


def series(
    record: SandboxRecord, points: Sequence[Point], start: datetime | None, end: datetime | None
) -> list[Document]:
    """Those of this time. The processor's share is that since the point before, or the sandbox's start."""
    told = pairwise((Point(record.started_at, 0.0, 0.0), *points))
    return [
        _measured(record, before, point)
        for before, point in told
        if (start is None or start <= point.moment) and (end is None or point.moment <= end)
    ]


def _measured(record: SandboxRecord, before: Point, point: Point) -> Document:
    seconds = max((point.moment - before.moment).total_seconds(), 0.001)
    used = max(point.cpu_seconds - before.cpu_seconds, 0.0)
    return {
        "timestamp": point.moment.isoformat(),
        "timestampUnix": int(point.moment.timestamp()),
        "cpuCount": max(1, round(record.limits.cpu_cores)),
        "cpuUsedPct": round(100 * used / seconds, 2),
        "memUsed": round(point.memory_mib * 2**20),
        "memTotal": record.limits.memory_mib << 20,
        "memCache": 0,
        "diskUsed": 0,
        "diskTotal": 0,
    }
