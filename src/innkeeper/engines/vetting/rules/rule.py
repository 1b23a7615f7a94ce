"""Rules: patterns of words, and how much each weighs in each voice. They lie in text files beside this."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from innkeeper.engines.vetting.vetting import Voice

_HEAD = re.compile(r"\[(.+)\] ([\d.]+) ([\d.]+) ([\d.]+)")
_PART = re.compile(r"<([A-Z]+)>")
_HINTS = "hints: "


@dataclass(frozen=True, slots=True)
class Rule:
    """`hints` are looked for first, which is quicker: without any of them the pattern cannot match."""

    sign: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    weights: dict[Voice, float]

    def found(self, text: str) -> bool:
        return any(hint in text for hint in self.hints) and self.pattern.search(text) is not None


def read(language: str) -> tuple[Rule, ...]:
    """The rules of a language, from its file; how one is written is said at its top."""
    text = files(__package__).joinpath(f"{language}.txt").read_text("utf-8")
    blocks = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip().split("\n\n")
    return tuple(_rules(blocks))


def _rules(blocks: list[str]) -> Iterator[Rule]:
    parts: dict[str, str] = {}
    for block in blocks:
        head, *lines = block.strip().split("\n")
        pattern = "".join(line[4:] for line in lines if line.startswith("    "))
        pattern = _PART.sub(lambda found: parts[found[1]], pattern)
        if part := _PART.fullmatch(head):
            parts[part[1]] = pattern
            continue
        rule = _HEAD.fullmatch(head)
        if rule is None:
            raise ValueError(f"not the head of a rule: {head}")
        hints = " | ".join(line.removeprefix(_HINTS) for line in lines if line.startswith(_HINTS))
        weights = dict(
            zip((Voice.TOOL, Voice.ASSISTANT, Voice.USER), map(float, rule.groups()[1:]), strict=True)
        )
        yield Rule(rule[1], tuple(hints.split(" | ")), re.compile(pattern, re.MULTILINE), weights)
