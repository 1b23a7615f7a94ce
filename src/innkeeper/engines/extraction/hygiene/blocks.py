"""What programs put around the words of a person: blocks of remembered texts, labels."""

from collections.abc import Iterator
from pathlib import Path

from innkeeper.engines.extraction.language.patterns import patterns, plain

_MARKS = patterns(Path(__file__).with_name("hygiene.txt"))


def outside(text: str) -> tuple[list[str], list[str]]:
    """The lines of a text that stand outside of such blocks, and those inside."""
    lines = text.splitlines()
    inside = set(_inside([plain(line) for line in lines]))
    kept = [line for place, line in enumerate(lines) if place not in inside]
    if inside:
        kept = [_without_label(line) for line in kept]
    return [line for line in kept if line.strip()], [lines[place] for place in sorted(inside)]


def _inside(lines: list[str]) -> Iterator[int]:
    place = 0
    while place < len(lines):
        end = _end_of_block(lines, place)
        yield from range(place, end)
        place = max(end, place + 1)


def _end_of_block(lines: list[str], start: int) -> int:
    """Behind the last line of the block that begins here; `start` when none does."""
    if opening := _MARKS["opening"].search(lines[start]):
        name = opening["name"].lower()
        for place in range(start, len(lines)):
            if f"/{name}" in lines[place].lower():
                return place + 1
    if not _MARKS["heading"].search(lines[start].strip()):
        return start
    place = start + 1
    items = place < len(lines) and _MARKS["item"].search(lines[place]) is not None
    while place < len(lines) and lines[place].strip():
        if items and not _MARKS["item"].search(lines[place]):
            break
        place += 1
    return place if place > start + 1 else start


def _without_label(line: str) -> str:
    label = _MARKS["label"].match(plain(line))
    return line[label.end() :].strip() if label else line
