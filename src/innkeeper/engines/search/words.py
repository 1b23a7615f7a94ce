"""Words as the index sees them.

Latin words stay as they are (the database stems them). Chinese, Japanese and Korean are written without
spaces, so that their text is cut into pairs of neighbouring characters, which need no dictionary.
"""

import re
from pathlib import Path

_WORD = re.compile(r"[^\W_]+")
_SCRIPTS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_UNSPACED = re.compile(f"[{_SCRIPTS}]")
_RUN = re.compile(f"[{_SCRIPTS}]+|[^{_SCRIPTS}]+")

# Words that are in every question and tell nothing about what is asked for.
_COMMON = frozenset(Path(__file__).with_name("common_words.txt").read_text("utf-8").split())


def told(text: str) -> list[str]:
    """The words of `text`, in lower case and in order: what is put into an index."""
    words: list[str] = []
    for run in _runs(text):
        # The last character begins no pair; alone, it can still be asked for.
        words += [*_pairs(run), run[-1]] if _UNSPACED.match(run) else [run]
    return words


def asked(query: str) -> list[str]:
    """The words of `query` that tell what is asked for, each once; all of them when none does. A single
    character of an unspaced script stands for every word that begins with it (`is_start`)."""
    words: dict[str, None] = {}
    for run in _runs(query):
        pairs = (_pairs(run) or [run]) if _UNSPACED.match(run) else [run]
        words.update(dict.fromkeys(pairs))
    return [word for word in words if word not in _COMMON] or list(words)


def is_start(word: str) -> bool:
    """Whether a word that was asked for stands for all that begin with it."""
    return len(word) == 1 and _UNSPACED.match(word) is not None


def _runs(text: str) -> list[str]:
    return [run for word in _WORD.findall(text.lower()) for run in _RUN.findall(word)]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]
