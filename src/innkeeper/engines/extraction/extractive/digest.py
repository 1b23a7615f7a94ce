"""A session in few words: its most telling sentences, as they were said, in order and within a budget.

It promises no more than that: a text made of sentences of others is no summary in words of its own.
"""

from collections.abc import Sequence
from datetime import datetime

from innkeeper.engines.extraction.extractive.salience import salience
from innkeeper.engines.extraction.extractor import Finding, Said
from innkeeper.engines.extraction.language.sentences import sentences
from innkeeper.engines.extraction.language.words import normalised

_BUDGET = 2_000  # characters


def digest(turns: Sequence[Said], present: Sequence[str]) -> Finding:
    """What stands already and the sentences of `turns`, at least one, each behind its day and who said it."""
    old = [line for text in present for line in text.splitlines() if line.strip()]
    new = [
        (turn, f"[{turn.at:%Y-%m-%d}] {turn.role}: {sentence}")
        for turn in turns
        for sentence in sentences(turn.text) or [turn.text]
    ]
    lines = _once([*old, *(line for _, line in new)]) or [turns[0].text[:_BUDGET]]
    kept = _within_budget(lines)
    sources = [turn.id for turn, line in new if line in kept] or [turns[-1].id]
    text = "\n".join(line for line in lines if line in kept)
    return Finding(text, list(dict.fromkeys(sources)), _newest(turns))


def _once(lines: Sequence[str]) -> list[str]:
    return list({normalised(line.partition(": ")[2]): line for line in reversed(lines)}.values())[::-1]


def _within_budget(lines: Sequence[str]) -> set[str]:
    left, kept = _BUDGET, set[str]()
    for line in sorted(lines, key=_worth, reverse=True):
        if len(line) < left:
            kept.add(line)
            left -= len(line) + 1
    return kept or {max(lines, key=_worth)}


def _worth(line: str) -> float:
    head, _, text = line.partition(": ")
    return salience(text or line, head.rpartition(" ")[2])


def _newest(turns: Sequence[Said]) -> datetime:
    return max(turn.at for turn in turns)
