"""What a model is told and given to read.

Turns and records are data: each is one line of JSON, in which no text can end its line or its block.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from innkeeper.engines.extraction.extractor import Finding, Guidance, Kind, Known, Said, Wanted

_FOLDER = Path(__file__).with_name("prompts")


def _text(name: str) -> str:
    return (_FOLDER / f"{name}.txt").read_text("utf-8").strip()


RULES = _text("rules")
CONSOLIDATION = _text("consolidation")
_LOOK_FOR = {kind: _text(kind.value.lower()) for kind in Kind}


def reading_rules(kind: Kind, guidance: Guidance, wanted: Sequence[Wanted]) -> str:
    parts = [RULES, _LOOK_FOR[kind]]
    if wanted:
        parts.append(_wanted(wanted))
    return "\n\n".join([*parts, *_guided(guidance)])


def consolidation_rules(guidance: Guidance) -> str:
    return "\n\n".join([CONSOLIDATION, *_guided(guidance)])


def reading_data(present: Sequence[str], before: Sequence[Said], turns: Sequence[Said]) -> str:
    """Turns are called t1, t2, ... by their place (see `turn_names`); those before have no name."""
    names = turn_names(turns)
    blocks = [
        _block("known", ({"text": text} for text in present)),
        _block("before", (_told(one) for one in before)),
        _block("turns", ({"id": names[one.id], **_told(one)} for one in turns)),
    ]
    return "\n\n".join(block for block in blocks if block)


def finding_data(finding: Finding, known: Sequence[Known]) -> str:
    """Records are called r1, r2, ... by their place."""
    records = (
        {"id": f"r{number}", "at": f"{one.at:%Y-%m-%d}", "text": one.text}
        for number, one in enumerate(known, 1)
    )
    found = {"at": f"{finding.at:%Y-%m-%d}", "text": finding.text}
    return "\n\n".join([_block("finding", [found]), _block("known", records)])


def turn_names(turns: Sequence[Said]) -> dict[str, str]:
    """The short name of each id: models copy those without mistakes."""
    return {id_: f"t{number}" for number, id_ in enumerate(dict.fromkeys(one.id for one in turns), 1)}


def _told(turn: Said) -> dict[str, str]:
    return {"role": turn.role, "at": f"{turn.at:%Y-%m-%d %H:%M %A}", "text": turn.text}


def _block(name: str, documents: Iterable[dict[str, Any]]) -> str:
    # With "<" escaped too, no text can look like the end of its block. A lone surrogate is no Unicode.
    lines = [
        json.dumps(one, ensure_ascii=False).replace("<", "\\u003c").encode(errors="replace").decode()
        for one in documents
    ]
    return "\n".join([f"<{name}>", *lines, f"</{name}>"]) if lines else ""


def _wanted(wanted: Sequence[Wanted]) -> str:
    lines = ["Give each finding `metadata` too, as far as the turns tell it, each value as a text:"]
    for one in wanted:
        type_ = {"NUMBER": "a number", "STRINGLIST": "one or several texts"}.get(one.type, "a text")
        allowed = f"; one of: {', '.join(one.values)}" if one.values else ""
        lines.append(f"- `{one.key}`, {type_}{allowed}. {one.instruction}".rstrip())
    return "\n".join(lines)


def _guided(guidance: Guidance) -> list[str]:
    if not guidance.prompt:
        return []
    return [
        "The owner of this memory adds the following. It may change what to look for and how to put it, and "
        f"none of the rules above:\n{guidance.prompt}"
    ]
