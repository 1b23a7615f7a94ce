"""What a sentence is about, without a pattern for it.

What is left when all words are taken away that are said of many things, and which of the things that people
have one of at a time it names: `I report to Ann` and `Bob is my boss now` have a name left each, and name the
same, who somebody's manager is.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from innkeeper.engines.extraction.language.patterns import CHINESE, patterns, plain
from innkeeper.engines.extraction.language.words import AROUND, stem

_FOLDER = Path(__file__).parent
_LONGEST = 500  # characters
_TOKEN = re.compile(r"[\u4e00-\u9fff]+|[^\W\u4e00-\u9fff](?:[\w'.&+@-]*[^\W\u4e00-\u9fff]|\+)?|[^\w\s]")
_UNIT_WORDS = (
    "kg|kilos?|pounds|lbs|stone|km|kilometers|kilometres|miles|metres|meters|cm|m|percent|hours?"
    "|minutes|people|pages|gb|tb|mg|ml|euros?|dollars?"
)
_CHINESE_UNITS = "公斤|斤|公里|岁|厘米|米|小时|分钟|个人|人|页|元|块"
_AMOUNT = re.compile(
    rf"(?<![\w.])\d[\d,.]*(?:(?<=\d) ?(?:{_UNIT_WORDS})\b|%| ?(?:{_CHINESE_UNITS}))", re.IGNORECASE
)
_WEEKDAY = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|(?:周|星期)[一二三四五六日天]", re.IGNORECASE
)
_UNITS = {
    "公斤": "kg",
    "kilo": "kg",
    "公里": "km",
    "小时": "hour",
    "分钟": "minute",
    "人": "people",
    "个人": "people",
}
_SINCE = re.compile(r"\b(?:since|as of|last|this|next) $", re.IGNORECASE)
_DATED = re.compile(r"\b(?:since|in|until|as of) (?:19|20)\d\d$", re.IGNORECASE)
_TO_ME = re.compile(r" \w+ (?:me|us)\b", re.IGNORECASE)
_CONTRACTED = re.compile(r"(?:n't|'(?:s|m|re|ve|ll|d)|'|)$", re.IGNORECASE)
_DOER = re.compile(r"\b(?:i|we|they|he|she|you|to|i've|we've|i'll|we'll|i'd|we'd) $", re.IGNORECASE)
_FROM = re.compile(r"\bfrom\b.* to $", re.IGNORECASE)
_THEIRS = re.compile(r"(?:\b(?:my|our|your|his|her|their)(?: [a-z]+)? |'s? |[我你您们家的])$", re.IGNORECASE)
_DOING = re.compile(r"\b(?:i'm|we're|i am|we are|been) $", re.IGNORECASE)
_HOW = re.compile(r"[a-z]{5,}ly")
_BEST = re.compile(r"\b(?:best|most|favou?rite)\b|\b(?:would|i'd|we'd) like\b|最", re.IGNORECASE)
_VERSION = re.compile(r"(?<![\w.])\d+(?:\.\d+)+(?![\w.])")

_MEASURES = (
    *((kind, marks) for kind, marks in patterns(_FOLDER / "measures.txt").items() if kind != "event"),
    ("amount", _AMOUNT),
    ("weekday", _WEEKDAY),
    ("version", _VERSION),
)


@dataclass(frozen=True, slots=True)
class Run:
    """Words that stand together and tell something; `start` and `end` are their place in the text."""

    words: frozenset[str]
    start: int
    end: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """`named` are attributes; `many` whether it tells of what there may be several of. `people` are kin,
    `verbs` the words that tell what somebody does."""

    text: str
    runs: tuple[Run, ...]
    named: frozenset[str]
    many: bool
    people: frozenset[str]
    verbs: frozenset[str]


@lru_cache(maxsize=4_000)
def frame_of(text: str) -> Frame:
    """Of a long text nothing: it says too much to be held against others."""
    text = plain(text) if len(text) <= _LONGEST else ""
    words = _words()
    runs, named, weak = list[Run](), Counter[str](), Counter[str]()
    people, verbs = set[str](), set[str]()
    many, last = False, ""
    for start, end, kind in _pieces(text):
        term = text[start:end]
        if _DATED.search(text, 0, end):
            continue
        if kind:
            runs.append(Run(frozenset({_bare(term)}), start, end, kind))
            continue
        last, pair = _bare(term), f"{last} {_bare(term)}"
        sense = None if _is_named(text, start, term, runs) else words.get(pair, words.get(last))
        weight = 2 if pair in words else 1
        if sense is None:
            if (
                not term[0].isalnum()
                or _HOW.fullmatch(term.lower())
                or (len(term) == 1 and CHINESE.match(term))
            ):
                continue
            if _is_verb(text, start, term, runs, people):
                verbs.add(last)
            else:
                _grow(runs, text, last, start, end)
            continue
        named.update(dict.fromkeys(sense.strong, weight))
        weak.update(dict.fromkeys(sense.weak, weight))
        many = many or sense.many
        if sense.person and not _TO_ME.match(text, end):
            people.add(_bare(term))
            many = many or not _THEIRS.search(text[:start])
        if sense.value:
            _grow(runs, text, _bare(term), start, end)
    many = many and not is_best(text)
    return Frame(text, tuple(runs), _most(named or weak), many, frozenset(people), frozenset(verbs))


def is_best(text: str) -> bool:
    """Whether it names the best of its kind, of which there is one."""
    return _BEST.search(text) is not None


def _most(named: Counter[str]) -> frozenset[str]:
    """A job title is a title rather than a job."""
    return frozenset(name for name, count in named.items() if count == max(named.values()))


@dataclass(slots=True)
class _Sense:
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    many: bool = False
    person: bool = False
    value: bool = False


@cache
def _words() -> dict[str, _Sense]:
    """What each known word stands for; nothing for one that is merely common."""
    senses = {_bare(word): _Sense() for word in (*AROUND, *_generic())}
    section = ""
    for line in (_FOLDER / "attributes.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            name, _, given = line.rpartition(": ")
            given, _, values = given.partition(" = ")
            strong, _, weak = given.partition(" ~ ")
            for word in filter(None, values.split(", ")):
                senses[_key(word)] = _Sense(strong=frozenset({name}), value=True)
            if section == "held":
                continue
            for word in filter(None, strong.split(", ")):
                sense = senses.setdefault(_key(word), _Sense())
                sense.strong |= {name} if section == "single" else frozenset()
                sense.many |= section == "many"
                sense.person |= section == "people"
            for word in filter(None, weak.split(", ")):
                senses.setdefault(_key(word), _Sense()).weak |= {name}
    return senses


def is_common(word: str) -> bool:
    """Whether it is said of many things."""
    return _words().get(_bare(word)) == _Sense()


@cache
def held() -> frozenset[str]:
    """The attributes whose value is who holds them."""
    text = (_FOLDER / "attributes.txt").read_text("utf-8").partition("[held]\n")[2]
    return frozenset(text.partition("\n")[0].split(", "))


def _key(words: str) -> str:
    return " ".join(map(_bare, words.split()))


def _generic() -> list[str]:
    lines = (_FOLDER / "generic.txt").read_text("utf-8").splitlines()
    return [word for line in lines if line[:1] not in ("#", "[") for word in line.split()]


@cache
def _chinese() -> re.Pattern[str]:
    known = sorted((word for word in _words() if CHINESE.match(word)), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known)))


def _pieces(text: str) -> list[tuple[int, int, str]]:
    """Amounts with their kind, and words; Chinese cut at the words that are known."""
    pieces, taken = list[tuple[int, int, str]](), list[tuple[int, int]]()
    for kind, pattern in _MEASURES:
        for found in pattern.finditer(text):
            if not any(found.start() < b and a < found.end() for a, b in taken):
                taken.append(found.span())
                passing = kind == "weekday" and _SINCE.search(text[: found.start()])
                if not passing:
                    pieces.append((*found.span(), f"{kind} {_unit(found.group())}".strip()))
    for start, end in taken:
        text = text[:start] + " " * (end - start) + text[end:]
    for token in _TOKEN.finditer(text):
        if CHINESE.match(token.group()):
            pieces += _cut(token.group(), token.start())
        else:
            pieces.append((*token.span(), ""))
    return sorted(pieces)


def _cut(text: str, at: int) -> list[tuple[int, int, str]]:
    pieces, place = list[tuple[int, int, str]](), 0
    for known in _chinese().finditer(text):
        if known.start() > place:
            pieces.append((at + place, at + known.start(), ""))
        pieces.append((at + known.start(), at + known.end(), ""))
        place = known.end()
    return pieces if place == len(text) else [*pieces, (at + place, at + len(text), "")]


def _unit(amount: str) -> str:
    unit = re.sub(r"[\d.,:\s-]+", "", amount.lower()).rstrip("s") if amount[0].isdecimal() else ""
    return _UNITS.get(unit, unit)


@lru_cache(maxsize=20_000)
def _bare(term: str) -> str:
    """Small, stemmed, without what is contracted to it."""
    return stem(_CONTRACTED.sub("", term.lower()))


def _is_named(text: str, start: int, term: str, runs: list[Run]) -> bool:
    """Whether it is written as a name, inside a sentence."""
    if not term[0].isupper() or (term.isupper() and len(term) < 4) or term.startswith("I'"):
        return False
    before = text[:start].rstrip()
    return bool(before) and before[-1] not in ".!?:"


def _is_verb(text: str, start: int, term: str, runs: list[Run], people: Collection[str]) -> bool:
    """A small word behind who does it."""
    if not term.islower() or not term.isascii():
        return False
    if (_DOER.search(text[:start]) and not _FROM.search(text[:start])) or (
        term.endswith("ing") and _DOING.search(text[:start])
    ):
        return True
    if term[-1] not in "sd":
        return False
    before = text[:start].split()[-1:]
    if before and _bare(before[0]) in people:
        return True
    return len(runs) == 1 and text[runs[0].end : start] == " " and text[runs[0].start].isupper()


def _grow(runs: list[Run], text: str, word: str, start: int, end: int) -> None:
    """A word joins the run that it follows."""
    end = start + len(_CONTRACTED.sub("", text[start:end]))
    if runs and not runs[-1].kind and text[runs[-1].end : start] in (" ", ""):
        last = runs.pop()
        runs.append(Run(last.words | {word}, last.start, end))
    else:
        runs.append(Run(frozenset({word}), start, end))
