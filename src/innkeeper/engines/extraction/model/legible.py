"""Texts as a person sees them."""

import re
from unicodedata import normalize

# Control characters, half surrogates, and what takes no room or turns the direction: orders hide behind them.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def legible(text: str) -> str:
    """Without what nobody sees."""
    return _UNSEEN.sub("", text)


def plainly_written(text: str) -> str:
    """And with one form for each character: full-width letters and ligatures are others."""
    return normalize("NFKC", legible(text))
