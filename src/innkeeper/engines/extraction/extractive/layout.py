"""How a sentence is laid out: of what it speaks, what it says of that, and what it says is over."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from innkeeper.engines.extraction.extractive.frames import Frame, Run, frame_of, held
from innkeeper.engines.extraction.language.patterns import CHINESE, patterns

MARKS = patterns(Path(__file__).with_name("layout.txt"))
_CLAUSE = re.compile(r"[,;:!?()\u3002\u3001]|\.(?=\s|$)| (?:and|but|so|then|now|because|since|while) ")
_BREAK = re.compile(r"\b(?:and|but|so|then|now|is|are|was|were|into|onto|to)\b|[到成为是在][^\w]*$")
_OPENING = re.compile(
    r"(?:\W|\b(?:the|for|in|of|our|my|a|an|now|and|so|but|actually|correction|mr|mrs|ms|dr)\b)*",
    re.IGNORECASE,
)
_POSSESSIVE = re.compile(r"'s?\b|的(?=[\u4e00-\u9fff])")
_OF_KIN = re.compile(r"\bmy (?:cat|dog|son|daughter|brother|sister|friend|cousin|child|kid) $", re.IGNORECASE)
_OWNED = re.compile(
    r"(?:(?<!\bin )(?<!\bat )(?<!\bon )(?<!from )(?<!with )\b(?:my|our|your|his|her|their|new)|'s?)"
    r"(?: (?!is|are|was|were)[a-z]+){0,2} $|\b(?:as|changed|switched) $|的$",
    re.IGNORECASE,
)
_THE = re.compile(r"\b(?:the|a|an)(?: (?:new|old|current|home))? $", re.IGNORECASE)
_OF_IT = re.compile(r" (?:of|for)\b")
_BY = re.compile(r" by\b")
_OF = re.compile(r"\b(?:of|for) (?:the )?$", re.IGNORECASE)
_TAKEN = re.compile(r"\b(?:t[ao]ke?n?|taking)s? over\b|\binherit(?:ed|s)?\b", re.IGNORECASE)
_JOURNEY = re.compile(r"^\s*from$|^\s*从$")
_PASSIVE = re.compile(r"\bby\b|:|\bha(?:s|ve)\b|由|是|归")
_IDENTITY = re.compile(
    r" (?:is|are|has become|became|will be) (?:now )?(?:my|our|the|where|what|who)\b|是", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The runs of a sentence: `over` say what no longer holds, `topics` of what it speaks, `values` what it
    says of that. `heads` are nouns that say what the value is: the skipper, our captain."""

    frame: Frame
    over: tuple[Run, ...]
    topics: tuple[Run, ...]
    values: tuple[Run, ...]
    heads: frozenset[str]

    @property
    def live(self) -> tuple[Run, ...]:
        return (*self.topics, *self.values)


@lru_cache(maxsize=4_000)
def laid_out(text: str) -> Layout:
    frame = frame_of(text)
    heads = [run for run in frame.runs if _is_head(frame, run)] if len(frame.runs) > 1 else []
    runs = [run for run in frame.runs if run not in heads]
    over = [run for run in runs if _ended_before(frame, run)]
    over = over or [run for run in runs if _ended_behind(frame, run)]
    live = [run for run in runs if run not in over]
    topics = _topics(frame, live)
    values = tuple(run for run in live if run not in topics)
    names = frozenset(word for run in heads for word in run.words)
    return Layout(frame, tuple(over), tuple(topics), values, names)


def _is_head(frame: Frame, run: Run) -> bool:
    if run.kind or frame.text[run.start].isupper() or frame.text[run.start].isdecimal():
        return False
    before, after = frame.text[: run.start], frame.text[run.end :]
    return bool(
        _OWNED.search(before)
        or (_THE.search(before) and _OF_IT.match(after))
        or (before and _BY.match(after))
    )


def _topics(frame: Frame, live: Sequence[Run]) -> Sequence[Run]:
    """Of whom or what it speaks: whose it is, what comes first, what it is of."""
    owned = [run for run in live if _OF_KIN.search(frame.text[: run.start])]
    if owners := owned or [run for run in live if owns(frame, run)]:
        return owners
    if live and _leads(frame, live[0]):
        return [live[0]]
    if len(live) < 2:
        return []
    if frame.named & held() and opens(frame, live[0]):
        return live[1:]
    if any(run.kind for run in live):
        return [run for run in live if not run.kind]
    return [run for run in live if is_of(frame, run)][:1] or [live[0]]


def _leads(frame: Frame, run: Run) -> bool:
    """Whether the sentence begins with it, unless that is merely said of something else."""
    if run.kind or _IDENTITY.match(frame.text, run.end):
        return False
    if frame.named & held() and not _PASSIVE.search(frame.text, run.end):
        return False
    return opens(frame, run)


def owns(frame: Frame, run: Run) -> bool:
    return _POSSESSIVE.match(frame.text, run.end) is not None


def is_of(frame: Frame, run: Run) -> bool:
    return _OF.search(frame.text[: run.start]) is not None


def opens(frame: Frame, run: Run) -> bool:
    return _OPENING.fullmatch(frame.text, 0, run.start) is not None


def _ended_before(frame: Frame, run: Run) -> bool:
    start = max((one.end() for one in _CLAUSE.finditer(frame.text, 0, run.start)), default=0)
    start = max([start, *(one.end for one in frame.runs if one.end <= run.start)])
    between = frame.text[start : run.start]
    cues = [
        one for one in MARKS["before"].finditer(frame.text) if start <= one.start() and one.end() <= run.start
    ]
    if not cues:
        last = next((one for one in frame.runs if one.end == start), None)
        if between != " from " or last is None:
            return False
        return last.kind == run.kind != "" or _TAKEN.search(frame.text, 0, start) is not None
    if frame.verbs and _JOURNEY.match(cues[-1].group()):
        return False  # it tells of a way rather than of a change
    return not _BREAK.search(between[cues[-1].end() - start :])


def _ended_behind(frame: Frame, run: Run) -> bool:
    return MARKS["after"].search(frame.text[run.end :]) is not None


def among(run: Run, others: Sequence[Run] | Collection[Run]) -> bool:
    return any(_alike(run, one) for one in others)


def _alike(run: Run, other: Run) -> bool:
    if run.words <= other.words or other.words <= run.words:
        return True
    mine, theirs = min(run.words), min(other.words)
    return CHINESE.match(mine) is not None and (mine in theirs or theirs in mine)
