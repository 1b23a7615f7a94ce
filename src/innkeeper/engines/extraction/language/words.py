"""The words of a sentence that tell something: stemmed lightly, Chinese as pairs of characters."""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from innkeeper.engines.extraction.language.patterns import CHINESE, plain

_RUN = re.compile("[\u4e00-\u9fff]+|[^\\W_\u4e00-\u9fff]+")
_SHORTENED = re.compile(r"n't\b|'(?:m|re|s|ve|ll|d|t)\b", re.IGNORECASE)
_LINES = Path(__file__).with_name("words.txt").read_text("utf-8").splitlines()
AROUND = frozenset(word for line in _LINES if not line.startswith("#") for word in line.split())


@lru_cache(maxsize=20_000)
def normalised(text: str) -> str:
    """The text without case, width, marks and space: equal for what is the same but for its looks."""
    return " ".join(_RUN.findall(unicodedata.normalize("NFKC", plain(text)).casefold()))


@lru_cache(maxsize=20_000)
def content(text: str) -> frozenset[str]:
    """What the text speaks of: its words without those that are in every sentence."""
    runs = _RUN.findall(_SHORTENED.sub("", plain(text)).lower())
    return frozenset(stem(word) for run in runs for word in _words(run) if word not in AROUND)


def _words(run: str) -> list[str]:
    """Chinese is written without spaces: each pair of neighbours is as good as a word."""
    return [run] if len(run) == 1 or not CHINESE.match(run) else [run[i : i + 2] for i in range(len(run) - 1)]


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
