"""How much a sentence tells that is worth remembering.

Marks of what people come back to: who speaks of themselves, names, numbers, times, what is decided, liked or
changed. Greetings, bare questions, thanks and requests to the assistant tell little.
"""

from pathlib import Path

from innkeeper.engines.extraction.language.patterns import patterns, plain
from innkeeper.engines.extraction.language.words import content

WORTH_KEEPING = 1.0

_MARKS = patterns(Path(__file__).with_suffix(".txt"))
_TELLING = ("first", "name", "number", "time", "state")
_WEIGHTS = {"question": 1.5, "small_talk": 0.75, "request": 0.75}
_OF_OTHERS = {"service": 2.0, "listener": 1.0}  # an assistant's words about itself or whom it speaks to


def salience(text: str, role: str) -> float:
    """Of one sentence; WORTH_KEEPING and above is to be remembered."""
    words = len(content(text))
    if not words:
        return 0.0
    text = plain(text)
    score = min(words, 6) / 6 + 0.5 * sum(_MARKS[mark].search(text) is not None for mark in _TELLING)
    against = _WEIGHTS if role in ("USER", "OTHER") else {**_WEIGHTS, **_OF_OTHERS}
    return score - sum(weight for mark, weight in against.items() if _is(mark, text))


def asks(text: str) -> bool:
    return _is("question", plain(text))


def requests(text: str) -> bool:
    return _is("request", plain(text))


def _is(mark: str, text: str) -> bool:
    if mark == "question" and _MARKS["tells"].search(text):
        return False
    return _MARKS[mark].search(text) is not None
