"""A text as its sentences: each is a span of the text, word for word."""

import re
from collections.abc import Iterator

from innkeeper.engines.extraction.language.patterns import plain

_END = re.compile(r"(?:。|[!?](?=[^\x00-\x7f]))+[」』\"')]*|[.!?…]+[\"')\]]*(?=\s|$)|\n")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|prof|jr|sr|vs|no|approx|e\.g|i\.e|[A-Z])"
    r"|\b[ap]\.m|\b(?:inc|ltd|co|corp|etc))\.$",
    re.IGNORECASE,
)
_TITLE = re.compile(r"\b(?:mr|mrs|ms|dr|st|prof|e\.g|i\.e|[B-HJ-Z])\.$", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[-*•·>#]+|\d{1,2}[.)、])\s+")
_LIST_NUMBER = re.compile(r"\s*\d{1,2}\.")
_LONGEST = 1_000


def sentences(text: str) -> Iterator[str]:
    """In order, without the space and the list marks around them; a longer one comes in pieces."""
    start, marks = 0, plain(text)
    for end in _END.finditer(marks):
        if _goes_on(marks, start, end):
            continue
        yield from _pieces(text[start : end.end()])
        start = end.end()
    yield from _pieces(text[start:])


def _goes_on(text: str, start: int, end: re.Match[str]) -> bool:
    """Whether the dot belongs to an abbreviation, and the sentence goes on behind it."""
    if end.group() != ".":
        return False
    head = text[max(start, end.end() - 12) : end.end()]
    if _TITLE.search(head) or _LIST_NUMBER.fullmatch(text, start, end.end()):
        return True
    following = text[end.end() : end.end() + 2].strip()
    return bool(following and not following[0].isupper() and _ABBREVIATION.search(head))


def _pieces(span: str) -> Iterator[str]:
    span = span.strip()
    span = _BULLET.sub("", span)
    while len(span) > _LONGEST:
        cut = max(span.rfind(mark, 1, _LONGEST) for mark in " ,\uff0c、") + 1
        cut = cut if cut > _LONGEST // 2 else _LONGEST
        yield span[:cut].strip()
        span = span[cut:].strip()
    if any(map(str.isalnum, span)):
        yield span
