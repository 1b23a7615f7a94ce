"""What was asked, what was done about it, and how it ended: each in the words in which it was said."""

from collections.abc import Iterator, Sequence

from innkeeper.engines.extraction.extractor import Finding, Said
from innkeeper.engines.extraction.language.sentences import sentences

_LONGEST_PART = 600  # characters
_STEPS = 6


def episodes(turns: Sequence[Said]) -> Iterator[Finding]:
    """One for each time that somebody spoke and others did something about it."""
    for asked, done in _stretches(turns):
        steps = [f"Done: {_short(turn.text)}" for turn in done[:-1][:_STEPS]]
        lines = [f"Asked: {_short(asked[-1].text)}", *steps, f"Ended: {_short(done[-1].text)}"]
        sources = [turn.id for turn in (asked[-1], *done[:-1][:_STEPS], done[-1])]
        yield Finding("\n".join(lines), sources, done[-1].at)


def _stretches(turns: Sequence[Said]) -> Iterator[tuple[list[Said], list[Said]]]:
    asked: list[Said] = []
    done: list[Said] = []
    for turn in turns:
        if turn.role == "USER" and done:
            yield asked, done
            asked, done = [turn], []
        elif turn.role == "USER":
            asked.append(turn)
        elif asked:
            done.append(turn)
    if asked and done:
        yield asked, done


def _short(text: str) -> str:
    """Whole sentences from its beginning, as far as they fit."""
    kept = ""
    for sentence in sentences(text):
        longer = f"{kept} {sentence}".strip()
        if len(longer) > _LONGEST_PART:
            break
        kept = longer
    return kept or text[:_LONGEST_PART].strip()
