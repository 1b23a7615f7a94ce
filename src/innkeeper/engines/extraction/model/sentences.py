"""Texts in sentences, sentences in clauses; English and Chinese."""

import re

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])|\n+")  # noqa: RUF001
_CLAUSE = re.compile(
    r"[,:;.!?，：；。！？\n]+|\b(?:but|although|though|however|instead)\b|但是?|不过(?!敏)|而是"  # noqa: RUF001
)


def sentences(text: str) -> list[str]:
    return [one.strip() for one in _SENTENCE.split(text) if one.strip()]


def clauses(text: str) -> list[str]:
    return [one.strip() for one in _CLAUSE.split(text) if one.strip()]
