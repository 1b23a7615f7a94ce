"""Amounts, times, dates and addresses: what is one thing at a time, and of what.

`The standup is at 9:15` and `The standup has been moved to 10:30` measure the same: the topic is what is left
of the sentence without the measure and without the words of change.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from innkeeper.engines.extraction.language.patterns import CHINESE, patterns
from innkeeper.engines.extraction.language.words import content, stem

_MARKS = patterns(Path(__file__).with_suffix(".txt"))
_KINDS = ("email", "money", "date", "time", "phone")
_OF_A_PERSON = frozenset(("email", "phone"))  # are of whoever speaks when nobody else is named
_SAME = {
    stem(other): stem(word)
    for word, others in (
        ("deadline", "due deliver finish milestone ship"),
        ("wake", "alarm woke rise"),
        ("phone", "cell mobile"),
        ("birthday", "born celebrate"),
    )
    for other in others.split()
}
_LINES = Path(__file__).with_name("no_topic.txt").read_text("utf-8").splitlines()
_NO_TOPIC = frozenset(stem(word) for line in _LINES[1:] for word in line.split()) | {"phon"}
_AROUND = re.compile(
    "我们?的?|[你您]们?的?|的|是|在|从|时间|日期|改[到成]|换[成到]?|挪到?|定在?|推迟到?|提前到?|每[周天月]|打|可以|找到|新|号码?|电话|手机"
    r"|为|了|不再|不是|而是|开始?|一般|都|要|[^\w]"
)
_OWNER = re.compile(r"\b([\w-]+)'s\b|(?<=[a-z,] )([A-Z]\w+)")
_WHICH = re.compile(
    r"\b(office|work|home|business|private|personal|school|second|emergency)"
    r"(?= (?:e-?mail|phone|number|cell|mobile))",
    re.IGNORECASE,
)
_LATIN_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_WAKING = re.compile(r"\b(?:get|gets|getting|got|am) up\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Measure:
    """`masked` is the sentence with a mark in the place of each measure."""

    topic: str
    kind: str
    value: frozenset[str]
    masked: str


def measured(text: str, changed: bool) -> Measure | None:
    """None for a sentence that measures nothing, or something that only happened once."""
    for kind in _KINDS:
        found = list(_MARKS[kind].finditer(text))
        if not found or len(found) > 2 or (len(found) == 2 and not changed):
            continue
        if happened(text) and kind not in _OF_A_PERSON:
            return None
        value = _newest(found)
        around = _MARKS[kind].sub(" ", text)
        topic = _owner(around) if kind in _OF_A_PERSON else _topic(around)
        if topic or kind in _OF_A_PERSON:
            return Measure(topic, kind, frozenset({_plain(value)}), _MARKS[kind].sub("#", text))
    return None


def happened(text: str) -> bool:
    """Whether it tells of something that happened once, rather than of something that holds."""
    return _MARKS["event"].search(text) is not None


def _owner(text: str) -> str:
    """Of an address: who is named, or nobody, and then it is the speaker's; and which of several."""
    names = [name for pair in _OWNER.findall(text) for name in pair if name]
    return " ".join(stem(name.lower()) for name in [*names, *_WHICH.findall(text)])


def _newest(found: list[re.Match[str]]) -> str:
    """Of two the one that holds now: `from 9:15 to 10:30`, `at 10:30 instead of 9:15`."""
    between = found[0].string[found[0].end() : found[-1].start()]
    first = re.search(r"\b(?:instead|rather|not|any ?more)\b|而不是", between)
    return (found[0] if first and "but" not in between else found[-1]).group()


def _plain(value: str) -> str:
    return re.sub(r"[\s.,-]", "", value.lower()) if "@" not in value else value.lower()


def _topic(text: str) -> str:
    if len(CHINESE.findall(text)) > len(_LATIN_WORD.findall(text)):
        return _AROUND.sub("", text)
    words = {_SAME.get(word, word) for word in content(_WAKING.sub("wake", text))}
    return " ".join(sorted(words - _NO_TOPIC))
