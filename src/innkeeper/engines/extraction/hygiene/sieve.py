"""Keeps junk out of what is learned: echoes of prompts and of memories, repetitions, noise of tools.

Memories fill up with their own echoes when everything that is said is learned from. What a person
says that is new survives, in whatever it is wrapped.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from innkeeper.engines.extraction.extractor import Kind, Reading, Said
from innkeeper.engines.extraction.hygiene.blocks import outside
from innkeeper.engines.extraction.language.patterns import patterns, plain
from innkeeper.engines.extraction.language.sentences import sentences
from innkeeper.engines.extraction.language.words import content, normalised

PROMPT = "echo of a prompt"
MEMORY = "echo of a memory"
REPEATED = "said before"
NOISE = "noise of a tool"
EMPTY = "nothing said"

_MARKS = patterns(Path(__file__).with_name("hygiene.txt"))
_NO_WORD = re.compile(r"[\W_]+")
_PEOPLE = ("USER", "OTHER")
_ALIKE = 0.8  # of its words were said before
_COMPARED = 4_000  # characters of a turn
_TURNS_COMPARED = 50


def sift(reading: Reading) -> Reading:
    """The reading with what is left of its turns; `dropped` counts what was not news, by reason. What is
    left of a turn are its sentences as they were, one a line."""
    before = list(reading.before)
    kept: list[Said] = []
    for turn in reading.turns:
        left = _left_of(turn, before, reading)
        if left:
            kept.append(replace(turn, text=left))
        before.append(turn)
    if not kept and reading.kind is Kind.SUMMARY:
        return reading  # of which there must be one
    return replace(reading, turns=kept)


def is_echo(text: str) -> bool:
    """Whether a sentence that a model found is none of a person: out of a prompt, a recollection, thanks."""
    return bool(
        _Judge("OTHER", Kind.SEMANTIC, [text], ()).against(text) or _MARKS["recall"].search(plain(text))
    )


def _left_of(turn: Said, before: Sequence[Said], reading: Reading) -> str:
    """Its text as it is when all of it stays."""
    lines, recalled = outside(turn.text)
    spans = [span for line in lines for span in sentences(line)]
    judge = _Judge(turn.role, reading.kind, spans, before)
    reasons = [REPEATED if judge.is_repeated(turn) else judge.against(span) for span in spans]
    reasons += [MEMORY] if recalled else []
    reading.dropped.update(filter(None, reasons))
    if not any(reasons):
        return turn.text if spans else ""
    return "\n".join(span for span, reason in zip(spans, reasons, strict=False) if not reason)


class _Judge:
    """Of the sentences of one turn."""

    def __init__(self, role: str, kind: Kind, spans: Sequence[str], before: Sequence[Said]) -> None:
        self._role, self._before = role, before
        self._prompted = any(map(self._is_prompt, spans))
        self._tells_of_tools = kind is Kind.EPISODIC
        self._recalled = role == "TOOL" and bool(spans) and _MARKS["search"].search(spans[0]) is not None

    def is_repeated(self, turn: Said) -> bool:
        """The same words again, with nothing said between by the one who says them."""
        last = next((one for one in reversed(self._before) if one.role == turn.role), None)
        return last is not None and normalised(last.text) == normalised(turn.text)

    def against(self, span: str) -> str:
        """Why it is not to be learned from; nothing if it is."""
        if self._is_prompt(span) or (self._prompted and self._is_order(span)):
            return PROMPT
        if self._recalled or (self._role not in _PEOPLE and self._is_echo(span)):
            return MEMORY
        if self._role == "TOOL" and not self._tells_of_tools and _MARKS["noise"].search(span):
            return NOISE
        words = _NO_WORD.sub(" ", plain(span)).strip()
        return EMPTY if _MARKS["acknowledgement"].search(words) else ""

    def _is_prompt(self, span: str) -> bool:
        marks = plain(span)
        repeats = self._role != "USER" and _MARKS["own_prompt"].search(marks)
        return bool(repeats or _MARKS["prompt"].search(marks))

    def _is_order(self, span: str) -> bool:
        return self._role != "USER" or _MARKS["order"].search(plain(span)) is not None

    def _is_echo(self, span: str) -> bool:
        """What was recalled, what tells people of themselves, and what they said before."""
        marks = plain(span)
        if _MARKS["recall"].search(marks):
            return True
        if self._role == "ASSISTANT" and _MARKS["listener"].search(marks):
            return not _MARKS["own_news"].search(marks)
        words = content(span)
        return bool(words) and any(len(words & said) >= _ALIKE * len(words) for said in self._said())

    def _said(self) -> Iterator[frozenset[str]]:
        for turn in self._before[-_TURNS_COMPARED:]:
            if turn.role in _PEOPLE:
                yield from map(content, sentences(turn.text[:_COMPARED]))
