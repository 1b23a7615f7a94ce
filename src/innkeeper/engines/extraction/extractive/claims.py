"""What a sentence claims: about whom, what, and whether it holds.

Two sentences can only contradict each other, or say the same, where they claim something about the same. What
no pattern knows has no claim, and stands beside everything else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from innkeeper.engines.extraction.extractive.claim_patterns import (
    LEADING_VALUE,
    SUBJECT,
    ClaimPattern,
    claim_patterns,
    ended_patterns,
    nouns,
)
from innkeeper.engines.extraction.extractive.measures import measured
from innkeeper.engines.extraction.language.patterns import CHINESE, patterns, plain
from innkeeper.engines.extraction.language.words import content, stem

ME = "me"
YOU = "you"
ENDED = "ended"  # the slot of what is over, whatever it was

_FOLDER = Path(__file__).parent
_MARKS = patterns(_FOLDER / "adverbs.txt")
_LONGEST = 500  # characters; a longer sentence claims too much to be held against others
_MINE = frozenset(["i", "we", "me", "my", "our", "mine", "home", "us", "我", "我们", "咱们"])
_LINKS = frozenset(["and", "but", "then", "so", "also", "or", "to", "up", "in", "at"])
# Pronouns of others, and words that are no subject.
_UNKNOWN = frozenset(
    (
        "he",
        "she",
        "they",
        "it",
        "this",
        "that",
        "who",
        "which",
        "there",
        "the",
        "a",
        "an",
        "his",
        "her",
        "their",
        "its",
        "be",
        "been",
        "am",
        "is",
        "are",
        "was",
        "were",
        "not",
        "diet",
        "status",
    )
)
_WRITTEN_OUT = (
    (re.compile(r"\b(i)'m\b", re.I), r"\1 am"),
    (re.compile(r"\b(\w+)'re\b", re.I), r"\1 are"),
    (re.compile(r"\b(\w+)'ve\b", re.I), r"\1 have"),
    (re.compile(r"\b(\w+)'ll\b", re.I), r"\1 will"),
    (re.compile(r"\b(\w+)'d\b", re.I), r"\1 would"),
    (re.compile(r"\bcan't\b|\bcannot\b", re.I), "can not"),
    (re.compile(r"n't\b", re.I), " not"),
    (re.compile(r"\b(it|that|there|here|he|she|what|who)'s\b", re.I), r"\1 is"),
    (re.compile(r"'s (?=(?:called|named)\b)", re.I), " is "),
    (re.compile(r"\bno longer\b|\bstopped being\b", re.I), "not"),
    (re.compile(r"\bcolour", re.I), "color"),
    (re.compile(r"\bfavorite", re.I), "favourite"),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """`single` slots hold one value at a time. `subject` is ME for whoever speaks,
    YOU for whom they speak to."""

    subject: str
    slot: str
    value: frozenset[str]
    holds: bool = True
    single: bool = True


@dataclass(frozen=True, slots=True)
class Claims:
    """`rest` are the words of the sentence that belong to no claim; `changed` when it tells of a change."""

    claims: tuple[Claim, ...]
    rest: frozenset[str]
    changed: bool


@lru_cache(maxsize=20_000)
def claims_of(text: str) -> Claims:
    marks = plain(text)[:_LONGEST]
    changed = _MARKS["change"].search(marks) is not None
    normal = _normal(marks)
    if len(text) > _LONGEST:
        return Claims((), content(text), changed)
    measure = measured(normal, changed)
    found, spans = _found(measure.masked if measure else normal, measure is None)
    timed = measure is not None and measure.kind in ("date", "time")
    if measure and not (timed and any(claim.holds for claim in found)):
        found.append(Claim(measure.topic, measure.kind, measure.value))
        return Claims(tuple(dict.fromkeys(found)), frozenset(measure.topic.split()), changed)
    rest = "".join(" " if any(a <= place < b for a, b in spans) else c for place, c in enumerate(normal))
    return Claims(tuple(dict.fromkeys(found)), content(rest), changed)


def _found(normal: str, many: bool) -> tuple[list[Claim], list[tuple[int, int]]]:
    """`many` is whether to look for what a subject may have several of, besides."""
    found, spans = list[Claim](), list[tuple[int, int]]()
    for claim, (start, end) in _stated(normal):
        if claim.single or (many and not any(start < b and a < end for a, b in spans)):
            found.append(claim)
            spans.append((start, end))
    for claim, span in _over(normal):
        found.append(claim)
        spans.append(span)
    return found, spans


def _normal(marks: str) -> str:
    for short, written in _WRITTEN_OUT:
        marks = short.sub(written, marks)
    return re.sub(r"\s+", " ", _MARKS["adverbs"].sub("", marks)).strip(" .!?。")


def _stated(normal: str) -> Iterator[tuple[Claim, tuple[int, int]]]:
    chinese = CHINESE.search(normal) is not None
    for pattern in claim_patterns():
        if pattern.chinese and not chinese:
            continue
        for match in pattern.found.finditer(normal):
            if (found := _claim(pattern, match, normal)) is not None:
                yield found


def _claim(pattern: ClaimPattern, match: re.Match[str], normal: str) -> tuple[Claim, tuple[int, int]] | None:
    groups, start = match.groupdict(), match.start()
    if pattern.value_before and (leading := LEADING_VALUE.search(normal[:start])):
        groups["v"], start = leading[0], leading.start()
    value = (groups.get("v") or "").strip()
    if not value or (pattern.named and not _is_name(value, normal)):
        return None
    if pattern.subject_before:
        if (before := SUBJECT.search(normal[:start])) is None:
            return None
        groups, start = {**groups, **before.groupdict()}, before.start()
    subject, words = _subject(groups.get("who") or "", normal[:start]), _value(value)
    slot = pattern.slot
    if noun := groups.get("noun"):
        slot = slot.replace("{noun}", nouns().get(noun.lower(), noun.lower()))
    if slot == "prefer":
        slot = f"prefer {stem(value.lower().split()[-1])}"
    if not words or not subject:
        return None
    holds = pattern.holds is not bool(groups.get("not"))
    return Claim(subject, slot, words, holds, pattern.single), (start, match.end())


def _over(normal: str) -> Iterator[tuple[Claim, tuple[int, int]]]:
    for pattern in ended_patterns():
        for match in pattern.finditer(normal):
            denied = normal[: match.start()].endswith(("not ", "never "))
            if not denied and (value := _value(match["v"].partition(" in ")[0])):
                yield Claim("", ENDED, value, holds=False), match.span()


def _value(text: str) -> frozenset[str]:
    return content(text) or frozenset(word for word in text.lower().split() if word.isalnum())


def _is_name(value: str, text: str) -> bool:
    """Who writes without capital letters writes names so too."""
    if text.islower():
        return value not in ("home", "free", "me", "it", "work")
    return any(
        word != "I" and (word[0].isupper() or word[0] > "\x7f")
        for word in value.removeprefix("the ").split()[:1]
    )


def _subject(word: str, before: str) -> str:
    """Of whom: the speaker, somebody by name or noun; nothing when only the context tells."""
    word = word.lower().removesuffix("'s")
    if word in ("you", "your") or word[:1] in ("你", "您"):
        return YOU if len(word) < 5 else word.lstrip("你您们的")
    if not word or word in _MINE or word[0] in "我咱":
        return ME if word in _MINE else word.lstrip("我咱们的家已经刚") or ME
    if word in _LINKS:
        first = before.lower().split()
        return ME if any(one in _MINE for one in first) or not first else _subject(first[0], "")
    return "" if word in _UNKNOWN else stem(word)
