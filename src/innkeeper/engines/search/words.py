"""Words as the index sees them.

Characters are brought to one form first: full-width ones, ligatures and accents are written plainly, Chinese
in simplified characters, so that a word is found however it was typed. Words of languages with spaces are
reduced to their stems (English rules). Chinese, Japanese and Korean are written without spaces: their text is
cut into characters and pairs of neighbouring ones, which need no dictionary; a pair counts much more than a
character. A Chinese word of everyday life stands for its kindred too.
"""

import re
import threading
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize

import Stemmer

from innkeeper.kernel.chinese import simplified

_WORD = re.compile(r"[^\W_]+")
_SCRIPTS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_UNSPACED = re.compile(f"[{_SCRIPTS}]")
_RUN = re.compile(f"[{_SCRIPTS}]+|[^{_SCRIPTS}]+")

# What one character of a longer run is worth in a query: of two that are pairs the whole is meant.
_CHARACTER = 0.2

# Words that are in every question and tell nothing about what is asked for.
_COMMON = frozenset(Path(__file__).with_name("common_words.txt").read_text("utf-8").split())


def _kindred() -> dict[str, list[str]]:
    """The groups of each word, by their numbers."""
    groups: dict[str, list[str]] = defaultdict(list)
    lines = Path(__file__).with_name("kindred_words.txt").read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        for word in line.split():
            groups[word].append(f"={number}")
    return dict(groups)


_KINDRED = _kindred()
_HAS_KINDRED = re.compile("|".join(sorted(_KINDRED, key=len, reverse=True)))


class _Stems(threading.local):
    """A stemmer is for one thread."""

    def __init__(self) -> None:
        self.of = Stemmer.Stemmer("english").stemWord


_stems = _Stems()


def told(text: str) -> list[str]:
    """The words of `text`, in order: what is put into an index."""
    words: list[str] = []
    for run in _runs(text):
        if _UNSPACED.match(run):
            words += [*run, *_pairs(run), *_groups(run)]
        else:
            words.append(_stems.of(run))
    return words


def asked(query: str) -> dict[str, float]:
    """The words of `query` that tell what is asked for, each with its worth; all of them when none does."""
    telling: dict[str, float] = {}
    for run in _runs(query):
        if _UNSPACED.match(run):
            characters = dict.fromkeys(run, 1.0 if len(run) == 1 else _CHARACTER)
            cut = characters | dict.fromkeys(_pairs(run), 1.0)
            whole = {one: worth for one, worth in cut.items() if not _COMMON.issuperset(one)}
            telling |= whole | dict.fromkeys(_groups(run), 1.0)
        elif run not in _COMMON:
            telling[_stems.of(run)] = 1.0
    return telling or dict.fromkeys(told(query), 1.0)


def _runs(text: str) -> list[str]:
    return [run for word in _WORD.findall(_plain(text)) for run in _RUN.findall(word)]


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    return "".join(map(_bare, simplified(normalize("NFKC", text).lower())))


@lru_cache(maxsize=4096)
def _bare(character: str) -> str:
    """A Latin letter without its accents."""
    letter = normalize("NFD", character)[0]
    return letter if letter.isascii() else character


def _groups(run: str) -> list[str]:
    return [group for word in _HAS_KINDRED.findall(run) for group in _KINDRED[word]]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]
