"""Whether memory finds what a person told an assistant: evidence recall on BEAM, without an LLM.

As `benchmarks.locomo`, over chats in which most of the evidence was said by the person, in few words, among
long answers. Questions without source messages are left out. The folder given has one for each chat.

    python -m benchmarks.beam chats/100K

The data is not ours to ship: https://github.com/mohammadtavakoli78/BEAM
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.locomo import Conversation, Question, show
from innkeeper.engines.search.search import Passage

_MARK = " ->-> "
_BEFORE_CHARACTERS = 240


def conversations(folder: Path) -> Iterator[Conversation]:
    for chat in sorted(folder.glob("*/chat.json")):
        probes = json.loads((chat.parent / "probing_questions" / "probing_questions.json").read_text())
        yield Conversation(tuple(_passages(json.loads(chat.read_text()))), tuple(_questions(probes)))


def _passages(chat: Any) -> Iterator[Passage]:
    before = ""
    for batch in chat:
        for number, turns in enumerate(batch["turns"]):
            thread = f"{batch['batch_number']}-{number}"
            for turn in turns:
                id_, text, role = turn["id"], turn["content"].partition(_MARK)[0], turn["role"]
                speaker = "person" if role == "user" else role
                day = (turn.get("time_anchor") or "").replace("-", " ")
                yield Passage(id_, "/", text, thread, id_, speaker, before, day, role=role.upper())
                before = text[-_BEFORE_CHARACTERS:]


def _questions(probes: Any) -> Iterator[Question]:
    for probe in (one for some in probes.values() for one in some):
        if evidence := frozenset(_numbers(probe.get("source_chat_ids"))):
            yield Question(probe["question"], evidence, 0)


def _numbers(value: Any) -> Iterator[int]:
    """They are lists, and lists by what they show."""
    if isinstance(value, int):
        yield value
    elif value:
        for part in value.values() if isinstance(value, dict) else value:
            yield from _numbers(part)


if __name__ == "__main__":
    show(sys.argv[1], conversations(Path(sys.argv[1])), {})
