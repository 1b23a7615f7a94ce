"""The words of a sentence that tell something: stemmed lightly, Chinese as pairs of characters."""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from innkeeper.engines.extraction.language.patterns import plain
from innkeeper.engines.search.words import asked, told

_SHORTENED = re.compile(r"n't\b|'(?:m|re|s|ve|ll|d|t)\b", re.IGNORECASE)
_LINES = Path(__file__).with_name("words.txt").read_text("utf-8").splitlines()
_FILLER = frozenset(word for line in _LINES if not line.startswith("#") for word in line.split())


def normalised(text: str) -> str:
    """The text without case, width, marks and space: equal for what is the same but for its looks."""
    return " ".join(told(unicodedata.normalize("NFKC", plain(text)).casefold()))


@lru_cache(maxsize=20_000)
def content(text: str) -> frozenset[str]:
    """What the text speaks of: its words without those that are in every sentence."""
    words = (word for word in asked(_SHORTENED.sub("", plain(text))) if word not in _FILLER)
    return frozenset(map(stem, words))


def stem(word: str) -> str:
    """`runs`, `running` and `run` are one; rougher than a language's grammar, and the same for each text."""
    if not word.isascii() or len(word) < 4 or not word.isalpha():
        return word
    for ending, put in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            root = word.removesuffix(ending) + put
            doubled = ending in ("ing", "ed") and root[-1] == root[-2] and root[-1] not in "lsz"
            return (root[:-1] if doubled else root).removesuffix("e")
    return word.removesuffix("e")
