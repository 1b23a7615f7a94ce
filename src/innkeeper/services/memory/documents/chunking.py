"""Cutting a document: at its headings, then between paragraphs, then after sentences, of any script.

The chunks, one after the other, are the document again, letter by letter.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from innkeeper.services.memory.context.tokens import estimate_each
from innkeeper.services.memory.documents.model import Section

# What the embedder reads of a passage, as we count.
CHUNK_TOKENS = 300
_SLICE = 200  # characters, where a text has neither paragraphs nor sentences
_HEADING = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*\s*")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_PARAGRAPH = re.compile(r".+?(?:\n[^\S\n]*\n+|\Z)", re.DOTALL)
_SENTENCE = re.compile(r".+?(?:[.!?]{1,3}\s|[\u3002\uff01\uff1f\uff1b]+|\n|\Z)", re.DOTALL)
_SUMMARY, _TITLES = 240, 1200  # characters
_HEADING_MOST, _LOOKED_AT = 300, 3000


@dataclass(frozen=True, slots=True)
class Cut:
    """Of a document: the text of each chunk with its heading, and the sections that they make up."""

    texts: Sequence[str]
    headings: Sequence[str]
    sections: Sequence[Section]


def summary_of(sections: Sequence[Section]) -> str:
    """How a document begins, and what its sections are called."""
    first = next((one.summary for one in sections if one.summary), "")
    titles = "; ".join(one.title for one in sections if one.title)
    return "\n".join(part for part in (first, _shortened(titles, _TITLES)) if part)


def cut(text: str) -> Cut:
    """A heading with nothing below it stands in one chunk with what follows: alone it answers nothing."""
    texts: list[str] = []
    headings: list[str] = []
    sections: list[Section] = []
    bare, titles = "", list[str]()
    whole = list(_sections(text))
    for number, (path, section) in enumerate(whole):
        title, first = path[-1] if path else "", len(texts)
        if _is_bare(section) and number < len(whole) - 1:
            bare += section
            titles += [title] if title else []
            continue
        texts += _packed(_units(bare + section))
        headings += [" / ".join(path)] * (len(texts) - first)
        sections += [Section(one, "", first, first) for one in titles]
        sections.append(Section(title, _lead(section), first, len(texts) - 1))
        bare, titles = "", []
    return Cut(texts, headings, sections)


def _sections(text: str) -> Iterator[tuple[list[str], str]]:
    """Each with the headings above it; a heading belongs to what follows. In code there are none."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        if mark := _FENCE.match(line):
            fence = "" if fence == mark[1] else fence or mark[1]
        heading = None if fence else _heading(line)
        if heading:
            if lines:
                yield [title for _, title in path], "".join(lines)
            depth = len(heading[1])
            path = [*((level, title) for level, title in path if level < depth), (depth, heading[2])]
            lines = []
        lines.append(line)
    if lines:
        yield [title for _, title in path], "".join(lines)


def _units(section: str) -> Iterator[tuple[str, int]]:
    """Paragraphs; of those that are too long, sentences; and of those, slices; each with its tokens."""
    for paragraph, tokens in estimate_each(one[0] for one in _PARAGRAPH.finditer(section)):
        if tokens <= CHUNK_TOKENS:
            yield paragraph, tokens
            continue
        for sentence, of_sentence in estimate_each(one[0] for one in _SENTENCE.finditer(paragraph)):
            if of_sentence <= CHUNK_TOKENS:
                yield sentence, of_sentence
            else:
                yield from estimate_each(sentence[at : at + _SLICE] for at in range(0, len(sentence), _SLICE))


def _packed(units: Iterator[tuple[str, int]]) -> list[str]:
    packed: list[list[str]] = []
    room = 0
    for unit, tokens in units:
        if packed and (tokens <= room or (room > CHUNK_TOKENS // 2 and _is_bare("".join(packed[-1])))):
            packed[-1].append(unit)
            room -= tokens
        else:
            packed.append([unit])
            room = CHUNK_TOKENS - tokens
    return list(map("".join, packed))


def _lead(section: str) -> str:
    """How it begins, without its heading: no way of choosing sentences by their form is better."""
    lines = [line.strip() for line in section[:_LOOKED_AT].splitlines() if not _heading(line)]
    text = " ".join(line for line in lines if line)
    lead = ""
    for sentence in _SENTENCE.findall(text):
        if lead and len(lead) + len(sentence) > _SUMMARY:
            break
        lead += sentence
    return _shortened(lead.strip(), _SUMMARY)


def _heading(line: str) -> re.Match[str] | None:
    return _HEADING.fullmatch(line) if len(line) <= _HEADING_MOST else None


def _is_bare(text: str) -> bool:
    """Whether there is nothing but headings."""
    return len(text) <= _HEADING_MOST and all(
        not line.strip() or _heading(line) for line in text.splitlines()
    )


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
