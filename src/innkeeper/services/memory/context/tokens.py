"""How many tokens a text takes, without any model's tokenizer: an estimate that would rather be too high.

Each character weighs what it costs by its script; a word costs something for beginning, and long words and
those of mixed case or with digits (identifiers, keys, base64) are broken into more pieces. The weights were
set against cl100k, Claude's and DeepSeek's vocabularies and MiniLM's word pieces, so that prose is above the
mean of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Counter = Callable[[str], int]
"""Counts tokens. Of texts that end with a line end, it counts no more together than apart."""

_LOWER, _UPPER, _DIGIT, _SPACE, _OTHER = range(5)
_BEGINNING = 0.65  # of a word, or of a part of it that is of another kind
_LONG, _LATER = 10, 0.45  # what letters of a word weigh after so many
_ASTRAL = 3.0  # emoji, rare characters
_PIECE = 2**16
# The first code point of each range, and what its characters weigh, up to the next one.
_SCRIPTS = (
    (0x00, 0.9),
    (0x80, 1.0),
    (0xC0, 0.6),  # Latin with accents, Greek, Cyrillic
    (0x530, 0.9),  # Armenian, Hebrew, Arabic
    (0x700, 1.4),  # the scripts of India and South-East Asia
    (0x1E00, 0.8),
    (0x2000, 1.0),  # typographic signs
    (0x2100, 2.0),  # symbols
    (0x2E80, 1.2),  # Chinese, Japanese
    (0x3400, 1.25),
    (0xA000, 2.5),
    (0xAC00, 1.6),  # Korean
    (0xD800, 2.5),
    (0xF900, 1.6),
    (0xFF00, 1.2),
)
_MARK = "\n[… {count} characters left out …]\n"


def estimate(text: str) -> int:
    weight, at = 0.0, 0
    while at < len(text):
        # Piece by piece, each up to the end of a line if there is one: all at once takes much memory.
        end = at + _PIECE
        if end < len(text):
            end = text.rfind("\n", at, end) + 1 or end
        weight += float(_weights(text[at:end]).sum())
        at = end
    return int(np.ceil(weight))


def estimate_each(texts: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each with its estimate. Many short ones are counted at once, which is much quicker; none may be
    empty."""
    some: list[str] = []
    characters = 0
    for text in texts:
        some.append(text)
        characters += len(text)
        if characters >= _PIECE:
            yield from _together(some)
            some, characters = [], 0
    yield from _together(some)


def clip(text: str, most: int, count: Counter) -> str:
    """Two thirds of what fits from its beginning, one from its end, and between them a note of how much is
    missing; nothing when not even the note fits."""
    if count(text) <= most:
        return text
    low, high = 0, min(len(text) - 1, most * 16)
    while low < high:  # `low` characters fit
        middle = (low + high + 1) // 2
        if count(_clipped(text, middle)) <= most:
            low = middle
        else:
            high = middle - 1
    return _clipped(text, low) if low else ""


def _together(texts: Sequence[str]) -> Iterator[tuple[str, int]]:
    short = [text for text in texts if len(text) < _PIECE]
    lengths = np.array([len(text) for text in short], np.intp)
    weights = np.add.reduceat(_weights("".join(short)), np.cumsum(lengths) - lengths) if short else ()
    counts = iter(np.ceil(weights).astype(int).tolist())
    yield from ((text, next(counts) if len(text) < _PIECE else estimate(text)) for text in texts)


def _clipped(text: str, kept: int) -> str:
    tail = kept // 3
    mark = _MARK.format(count=len(text) - kept)
    return text[: kept - tail] + mark + text[len(text) - tail :]


def _weights(text: str) -> NDArray[np.float64]:
    """Of each character."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    places = np.minimum(codes, 0xFFFF)
    kinds = _kinds()[places]
    weights = np.where(codes > 0xFFFF, _ASTRAL, _table()[places])
    begins = np.ones(len(codes), bool)
    begins[1:] = kinds[1:] != kinds[:-1]
    worded = kinds <= _DIGIT
    weights[begins & worded] += _BEGINNING
    numbers = np.arange(len(codes))
    place = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
    weights[worded & (place >= _LONG)] = _LATER
    return weights


@cache
def _table() -> NDArray[np.float64]:
    weights = np.empty(0x10000)
    for first, weight in _SCRIPTS:
        weights[first:] = weight
    weights[ord("a") : ord("z") + 1] = 0.13
    weights[ord("A") : ord("Z") + 1] = 0.4
    weights[ord("0") : ord("9") + 1] = 0.55
    weights[ord(" ")] = 0.05
    weights[ord("\n")] = 0.8
    return weights


@cache
def _kinds() -> NDArray[np.uint8]:
    kinds = np.full(0x10000, _OTHER, np.uint8)
    kinds[ord("a") : ord("z") + 1] = _LOWER
    kinds[ord("A") : ord("Z") + 1] = _UPPER
    kinds[ord("0") : ord("9") + 1] = _DIGIT
    kinds[ord(" ")] = _SPACE
    return kinds
