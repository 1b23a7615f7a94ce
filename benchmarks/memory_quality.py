"""Memory: whether the right ones are found, on LoCoMo where it is at hand, and in Chinese."""

import asyncio
import os
import sys
from pathlib import Path

from benchmarks import chinese, locomo
from benchmarks.measure import Measure

LOCOMO = "INNKEEPER_LOCOMO"
_OURS = "Innkeeper"


def measure() -> list[Measure]:
    return [*chinese.measure(), *_locomo()]


def _locomo() -> list[Measure]:
    path = os.environ.get(LOCOMO, "")
    if not path:
        print(
            f"LoCoMo is not measured: {LOCOMO} names no file (https://github.com/snap-research/LoCoMo)",
            file=sys.stderr,
        )
        return []
    recalls = {
        way: by[0] for way, by in asyncio.run(locomo.measure(locomo.conversations(Path(path)))).items()
    }
    return [
        Measure(
            "memory",
            f"LoCoMo evidence recall at {k}",
            "%",
            [recalls[_OURS][place]],
            way,
            [theirs[place]],
            rate=True,
        )
        for place, k in enumerate(locomo.DEPTHS)
        for way, theirs in recalls.items()
        if way != _OURS
    ]
