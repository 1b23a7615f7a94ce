"""Two thousand turns with echoes, repetitions and contradictions: what is remembered of them.

`python -m benchmarks.hygiene [SEED ...]`: the extractor alone, over records in memory. "seen" are the
phrasings that it was made with in view, "held" others for the same things, whose misses were read since.
"open" are things of which no pattern speaks, looked at while the general rule was made; "third" are such
things that were written before it by its author: their figures were seen, their misses were not. "fourth" are
others again, written before the rules were last changed. Then pairs
of sentences that are alike and both true, told one after the other: how many were not kept apart.

`--served` tells one week of each kind to a running server, waits until it is learned, and asks what changed.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from benchmarks.inn import opened
from benchmarks.week.lexicon import lexicon, pairs
from benchmarks.week.outcome import Outcome, Shelf, judged
from benchmarks.week.served import served
from benchmarks.week.week import Week
from innkeeper.engines.extraction.extractive.extractive import Extractive
from innkeeper.engines.extraction.extractor import Action, Finding, Guidance, Kind, Known

TURNS = 2_000
HALVES = ("seen", "held", "open", "third", "fourth")
_NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def gone_through(half: str, seed: int, turns: int = TURNS) -> Outcome:
    week = Week(lexicon(half), turns, seed)
    shelf = Shelf(Extractive())
    await shelf.learn(week.turns)
    return judged(week, shelf.kept)


async def not_kept_apart(half: str) -> list[tuple[str, str]]:
    """Of sentences that are both true, those where the first did not stay when the second came."""
    extractor = Extractive()
    found = []
    for older, newer in pairs(half):
        known = [Known("older", older, _NOW - timedelta(days=1))]
        verdict = await extractor.consolidate(
            Kind.SEMANTIC, Finding(newer, ["turn"], _NOW), known, Guidance()
        )
        if verdict.action is not Action.ADD:
            found.append((older, newer))
    return found


def main(seeds: Sequence[int]) -> None:
    print(
        "half    seed  facts  changes  echoes"
        "  echoes rejected  facts kept  changes answered  facts retired that hold  ms a turn"
    )
    for half in HALVES:
        for seed in seeds:
            started = time.process_time()
            out = asyncio.run(gone_through(half, seed))
            spent = (time.process_time() - started) / TURNS * 1_000
            shares = "  ".join(f"{share:15.1%}" for share in out.shares().values())
            print(
                f"{half:6}  {seed:4}  {out.facts:5}  {out.changes:7}  {out.echoes:6}  {shares}  {spent:9.2f}"
            )
    for half in ("seen", "third"):
        print(f"{half:6}  {len(asyncio.run(not_kept_apart(half)))} of {len(pairs(half))} not kept apart")


def through_a_server() -> None:
    print(
        "half    echoes rejected  facts kept  changes answered  facts retired that hold  asked  answered  s"
    )
    for half in HALVES:
        with opened(quick=False, settings={}) as inn:
            told = served(inn, Week(lexicon(half), TURNS, 1))
        shares = "  ".join(f"{share:15.1%}" for share in told.outcome.shares().values())
        print(f"{half:6}  {shares}  {told.asked:5}  {told.answered:8}  {told.seconds:.0f}")


if __name__ == "__main__":
    if "--served" in sys.argv:
        through_a_server()
    else:
        main([int(seed) for seed in sys.argv[1:]] or [1, 2, 3])
