"""What is suspicious by its shape rather than by its words."""

import re
from collections import Counter

_WORD = re.compile(r"[a-z][a-z'-]{1,}")
_COMMON = frozenset(
    (
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "i",
        "if",
        "in",
        "is",
        "it",
        "its",
        "me",
        "my",
        "not",
        "of",
        "on",
        "or",
        "our",
        "she",
        "so",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "they",
        "this",
        "to",
        "us",
        "was",
        "we",
        "were",
        "what",
        "when",
        "which",
        "will",
        "with",
        "you",
        "your",
    )
)
_STUFFED_MIN = 12
_STUFFED_MAX = 400
_REPEATED_SHARE = 0.2
_COMMON_SHARE = 0.15
_DISTINCT_SHARE = 0.7


def stuffed(folded: str) -> bool:
    """Whether it is words to be found by, again and again, rather than sentences."""
    words = _WORD.findall(folded[: _STUFFED_MAX * 8])
    if not _STUFFED_MIN <= len(words) <= _STUFFED_MAX:
        return False
    counts = Counter(words)
    telling = [(count, word) for word, count in counts.items() if word not in _COMMON]
    if not telling or len(words) - sum(count for count, _ in telling) > _COMMON_SHARE * len(words):
        return False
    often = max(telling)[0]
    return often >= _REPEATED_SHARE * len(words) and len(counts) <= _DISTINCT_SHARE * len(words)
