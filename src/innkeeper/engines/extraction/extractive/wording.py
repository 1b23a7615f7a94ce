"""Two sentences that are the same but for one value: `I park in P4`, `I park in P7 now`.

No word of them needs to be known: that all others are the same says what is spoken of.
"""

import re
from collections.abc import Sequence
from itertools import takewhile

from innkeeper.engines.extraction.extractive.frames import Frame, is_common
from innkeeper.engines.extraction.extractive.layout import MARKS
from innkeeper.engines.extraction.language.patterns import CHINESE
from innkeeper.engines.extraction.language.words import AROUND

_WORD = re.compile(r"(?<!\S)\w[^\s,;!?()]*?(?=[.,;:!?()]*(?:\s|$))")
_LEFT_OUT = re.compile(r"\b(?:new|current)\b", re.IGNORECASE)
_SPEAKER = frozenset(("i", "i'm", "i've", "we", "we're", "we've", "my", "our"))
_ARTICLES = frozenset(("the", "a", "an"))
_LIGHT = _SPEAKER | _ARTICLES | {"is", "are", "has", "have", "am", "was", "were", "be", "been", "it", "to"}
_VALUE_MOST = 4  # words


def restates(new: Frame, old: Frame) -> bool:
    """Whether it says the same as the other, of now, with another value behind it."""
    if not MARKS["now"].search(new.text) or CHINESE.search(new.text):
        return False
    mine, theirs = _words(new.text), _words(old.text)
    begin = _common(mine, theirs)
    end = _common(mine[begin:][::-1], theirs[begin:][::-1])
    values = mine[begin : len(mine) - end], theirs[begin : len(theirs) - end]
    behind = mine[len(mine) - end :]
    if behind and behind[0] != "as":
        return False  # what stands before the value's place is of what it is one
    return all(map(_is_value, values)) and _is_of_one_thing(mine[:begin], mine[:begin] + behind)


def _words(text: str) -> list[str]:
    bare = _LEFT_OUT.sub(" ", MARKS["now"].sub(" ", text))
    return [word.lower() for word in _WORD.findall(bare)]


def _common(mine: Sequence[str], theirs: Sequence[str]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(mine, theirs, strict=False))))


def _is_value(words: Sequence[str]) -> bool:
    telling = [word for word in words if word not in _ARTICLES]
    return 0 < len(telling) <= _VALUE_MOST and AROUND.isdisjoint(telling)


def _is_of_one_thing(begin: Sequence[str], shared: Sequence[str]) -> bool:
    """Whether the words before the value say of what it is one, and more than that it is there. Who is merely
    named has, does and is many things."""
    if len(begin) < 2:
        return False
    if begin[0] in _SPEAKER:
        return any(word not in _LIGHT and not is_common(word) for word in shared)
    if begin[0] != "the" and not begin[0].endswith("'s"):
        return False
    telling = [word for word in shared if word not in _LIGHT]
    return len(telling) > 1 and not all(map(is_common, telling))
