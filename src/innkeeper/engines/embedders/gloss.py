"""Chinese as rows of English words, for an embedder that knows English alone.

`glosses/` lists what is said in everyday life, a word and its English one a line. A text is cut into the
fewest of these words, and each is replaced: no translation, but near in meaning to texts and rows that mean
the like. What is not listed, a name most often, stays as it is.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from innkeeper.kernel.chinese import HAN, simplified

_FOLDER = Path(__file__).with_name("glosses")
_CHINESE = re.compile(f"[{HAN}]")
_UNIT = re.compile(f"[{HAN}]|[^\\W{HAN}]+|[^\\w\\s]+")

# Particles: English has none.
_SILENT = frozenset("的了吗呢吧啊呀嘛么着过地得")
# Characters that are words of their own more often than parts of a longer one beside them.
_FREE = frozenset(
    "和在我你他她它们是不把被从到对给跟就都也很还要会能去来有没想说看吃喝用做买让叫请这那哪谁几多少大小新老好每各某"
    "上下里外前后中两一二三四五六七八九十百千万与及或但而且因为所以如若于向往由比最更太又再已只"
)
# What a word costs in the choice of the fewest; a character that is a word less surely costs more.
_WORD, _FREE_CHARACTER, _CHARACTER, _UNKNOWN = 1.0, 0.9, 1.25, 1.6


class Piece(NamedTuple):
    """`gloss` is empty where English has no word for it, and None where the lists have none."""

    word: str
    gloss: str | None


def glossed(text: str) -> str:
    """The text with English in the place of its Chinese."""
    if not _CHINESE.search(text):
        return text
    read = (piece.word if piece.gloss is None else piece.gloss for piece in pieces(text))
    return " ".join(filter(None, read))


def pieces(text: str) -> list[Piece]:
    """Its words, in order. What is not Chinese stands for itself."""
    units = _UNIT.findall(simplified(text))
    ends = _cuts(units)
    found, start = [], 0
    while start < len(units):
        found.append(_piece("".join(units[start : ends[start]])))
        start = ends[start]
    return found


def _cuts(units: Sequence[str]) -> list[int]:
    """For each place where a word may begin, where it ends if all that follows costs the least."""
    words, longest = _glosses()
    count = len(units)
    costs, ends = [0.0] * (count + 1), [0] * count
    for start in reversed(range(count)):
        choices = [(_cost(units[start]) + costs[start + 1], start + 1)]
        word = units[start].lower()
        for end in range(start + 2, min(start + longest, count) + 1):
            word += units[end - 1].lower()
            if word in words:
                choices.append((_WORD + costs[end], end))
        costs[start], ends[start] = min(choices)
    return ends


def _cost(unit: str) -> float:
    """Of a unit that stands alone."""
    if not _CHINESE.match(unit):
        return _WORD
    if unit in _FREE or unit in _SILENT:
        return _FREE_CHARACTER
    return _CHARACTER if unit in _glosses()[0] else _UNKNOWN


def _piece(word: str) -> Piece:
    if word in _SILENT:
        return Piece(word, "")
    if not _CHINESE.search(word):
        return Piece(word, word)
    return Piece(word, _glosses()[0].get(word.lower()))


@lru_cache(maxsize=1)
def _glosses() -> tuple[Mapping[str, str], int]:
    """Each word's gloss, and how long the longest word is."""
    lines = (line for path in _FOLDER.glob("*.tsv") for line in path.read_text("utf-8").splitlines())
    words = {word.lower(): gloss for word, _, gloss in (line.partition("\t") for line in lines)}
    return words, max(map(len, words))
