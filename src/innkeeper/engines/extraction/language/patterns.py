"""Patterns of language, kept in text files beside the code.

A file has sections, `[name]`, with alternatives below, one a line; what begins with # explains. They are
matched without regard to case against `plain` text, and a space in them stands for any space. `(?-i:...)`
minds case.
"""

import re
from functools import cache
from pathlib import Path

from innkeeper.kernel.chinese import simplified

_LATIN_MARKS = {
    "\u2019": "'",
    "\u2018": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\uff1f": "?",
    "\uff01": "!",
    "\uff0c": ",",
    "\uff1b": ";",
    "\uff1a": ":",
    "\uff08": "(",
    "\uff09": ")",
    "\u3000": " ",
}
CHINESE = re.compile("[\u4e00-\u9fff]")
_PLAIN = str.maketrans(_LATIN_MARKS)


def plain(text: str) -> str:
    """The text with Latin marks and simplified characters: a place in one is the same place in the other."""
    return simplified(text.translate(_PLAIN))


@cache
def patterns(file: Path) -> dict[str, re.Pattern[str]]:
    """The sections of a file, each as one pattern."""
    alternatives: dict[str, list[str]] = {}
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]") and line[1:-1].replace("_", "").isalpha():
            current = alternatives.setdefault(line[1:-1], [])
        elif line and not line.startswith("#"):
            current.append(line.replace(" ", r"\s"))
    return {name: re.compile("|".join(lines), re.IGNORECASE) for name, lines in alternatives.items()}
