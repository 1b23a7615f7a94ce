"""Sentences in which people say what they like, how they want things, and what they cannot bear."""

from pathlib import Path

from innkeeper.engines.extraction.language.patterns import patterns, plain

_MARKS = patterns(Path(__file__).with_suffix(".txt"))


def is_preference(text: str) -> bool:
    """Of one sentence of a person."""
    text = plain(text)
    return not _MARKS["asks"].search(text) and _MARKS["preference"].search(text) is not None
