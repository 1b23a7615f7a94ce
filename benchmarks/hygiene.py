"""Two thousand turns with echoes, repetitions and contradictions: what is remembered of them.

`python -m benchmarks.hygiene [SEED ...]`: the extractor alone, over records in memory. "seen" are the
phrasings that it was made with in view, "held" are others, which nobody looked at while it was made.
"""

import asyncio
import sys
import time
from collections.abc import Sequence

from benchmarks.week.lexicon import lexicon
from benchmarks.week.outcome import Outcome, Shelf, judged
from benchmarks.week.week import Week
from innkeeper.engines.extraction.extractive.extractive import Extractive

TURNS = 2_000


async def gone_through(half: str, seed: int, turns: int = TURNS) -> Outcome:
    week = Week(lexicon(half), turns, seed)
    shelf = Shelf(Extractive())
    await shelf.learn(week.turns)
    return judged(week, shelf.kept)


def main(seeds: Sequence[int]) -> None:
    print("half  seed  facts  changes  echoes  echoes rejected  facts kept  changes answered  ms a turn")
    for half in ("seen", "held"):
        for seed in seeds:
            started = time.process_time()
            out = asyncio.run(gone_through(half, seed))
            spent = (time.process_time() - started) / TURNS * 1_000
            shares = "  ".join(f"{share:15.1%}" for share in out.shares().values())
            print(f"{half}  {seed:4}  {out.facts:5}  {out.changes:7}  {out.echoes:6}  {shares}  {spent:9.2f}")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1, 2, 3])
