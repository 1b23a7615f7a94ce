"""Readings in pieces that a model's context holds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from innkeeper.engines.extraction.extractor import Said


def pieces(turns: Sequence[Said], most_characters: int) -> Iterator[list[Said]]:
    """The turns in order; one that is too long by itself comes in parts, under the same id."""
    piece: list[Said] = []
    size = 0
    for part in (part for turn in turns for part in _parts(turn, most_characters)):
        if piece and size + len(part.text) > most_characters:
            yield piece
            piece, size = [], 0
        piece.append(part)
        size += len(part.text)
    if piece:
        yield piece


def last(turns: Sequence[Said], most_characters: int) -> list[Said]:
    """As many of the last turns as there is room for, in order; the first of them may lack its beginning."""
    kept: list[Said] = []
    room = most_characters
    for turn in reversed(turns):
        if room <= 0:
            break
        kept.append(replace(turn, text=turn.text[-room:]))
        room -= len(turn.text)
    return kept[::-1]


def _parts(turn: Said, most: int) -> Iterator[Said]:
    text = turn.text
    while len(text) > most:
        # At the end of a line, a sentence or a word, in the last fifth.
        found = (text.rfind(mark, most * 4 // 5, most) for mark in ("\n", ". ", "。", " "))
        cut = next((place + 1 for place in found if place > 0), most)
        yield replace(turn, text=text[:cut])
        text = text[cut:]
    yield replace(turn, text=text)
