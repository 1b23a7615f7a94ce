"""Sentences of our own: attacks on memories, and ordinary turns. Half of each was held out: written with the
others, but not looked at while the rules were made. `evasions` were written later, to evade
the rules by one who knew them; the rules have learned from all but the last 20."""

import re
from pathlib import Path

from innkeeper.engines.vetting.vetting import Statement, Voice

VOICES = {"U": Voice.USER, "A": Voice.ASSISTANT, "T": Voice.TOOL, "W": Voice.TOOL}  # W: from the web
_ESCAPE = re.compile(r"\\(?:n|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def read(name: str) -> list[Statement]:
    """A line of the file is a voice, a tab, and a text with escapes for what an editor would not show."""
    lines = (Path(__file__).parent / f"{name}.tsv").read_text("utf-8").splitlines()
    return [Statement(_plain(text), VOICES[voice]) for voice, text in (line.split("\t", 1) for line in lines)]


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1] or found[2] or "a", 16)), text)
