"""What is suspicious not by itself, but beside what is there already."""

import re
from collections.abc import Sequence

from innkeeper.services.memory.records.model import Record

_WORD = re.compile(r"\w+")
_WORDS_MIN = 4
_SAME_SHARE = 0.7


def alters_one_thing(text: str, trusted: Sequence[Record]) -> bool:
    """Whether it says what a record says, but for a value: a fact would be changed quietly."""
    words = set(_WORD.findall(text.lower()))
    if len(words) < _WORDS_MIN:
        return False
    return any(_differ_in_a_value(words, set(_WORD.findall(one.text.lower()))) for one in trusted)


def _differ_in_a_value(words: set[str], known: set[str]) -> bool:
    new, old = words - known, known - words
    alike = len(words & known) >= _SAME_SHARE * max(len(words), len(known))
    return alike and 1 <= len(new) <= 2 and 1 <= len(old) <= 2
