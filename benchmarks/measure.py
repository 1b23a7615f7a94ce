"""What a benchmark gives, and how it is shown."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Samples = Sequence[float]
_HEAD = (
    *("benchmark", "measure", "unit", "innkeeper p50", "p95"),
    *("peer", "peer p50", "p95", "added", "ratio", "aim"),
)
_NUMBERS = frozenset((3, 4, 6, 7, 8, 9))


@dataclass(frozen=True, slots=True)
class Measure:
    """Samples of one thing, ours and (unless `peer` is empty) those of a peer from the same run.

    `aim` is for people to read. Of a `rate` more is better: its p95 is what 95 of 100 samples reach.
    """

    benchmark: str
    what: str
    unit: str
    ours: Samples
    peer: str = ""
    theirs: Samples = ()
    aim: str = ""
    rate: bool = False

    @property
    def added(self) -> float | None:
        return statistics.median(self.ours) - statistics.median(self.theirs) if self.theirs else None

    @property
    def ratio(self) -> float | None:
        """Ours to theirs, by their medians; None where theirs is nothing."""
        theirs = statistics.median(self.theirs) if self.theirs else 0.0
        return statistics.median(self.ours) / theirs if theirs else None

    def p95(self, samples: Samples) -> float | None:
        """The nearest rank; None where there are too few samples to say."""
        if len(samples) < 3:
            return None
        return sorted(samples, reverse=self.rate)[int(len(samples) * 0.95)]

    def document(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "measure": self.what,
            "unit": self.unit,
            "samples": len(self.ours),
            "p50": statistics.median(self.ours),
            "p95": self.p95(self.ours),
            "peer": self.peer or None,
            "peerP50": statistics.median(self.theirs) if self.theirs else None,
            "peerP95": self.p95(self.theirs),
            "added": self.added,
            "ratio": self.ratio,
            "aim": self.aim or None,
        }


def table(measures: Sequence[Measure]) -> str:
    """One table of all measures, in columns."""
    rows = [_HEAD, *(_cells(measure) for measure in measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(_line(row, widths) for row in rows)


def _cells(measure: Measure) -> tuple[str, ...]:
    document = measure.document()
    texts = (document[name] or "" for name in ("benchmark", "measure", "unit", "peer", "aim"))
    benchmark, what, unit, peer, aim = texts
    p50, p95, peer_p50, peer_p95, added, ratio = (
        _number(document[name]) for name in ("p50", "p95", "peerP50", "peerP95", "added", "ratio")
    )
    return benchmark, what, unit, p50, p95, peer, peer_p50, peer_p95, added, ratio, aim


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
