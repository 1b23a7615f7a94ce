"""Reads `claims.txt`: the patterns of what people claim, with their abbreviations written out."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from innkeeper.engines.extraction.language.patterns import CHINESE

_FOLDER = Path(__file__).parent

_SMALL_WORDS = (
    r"(?:(?:am|is|are|was|were|be|been|being|have|has|had|do|does|did|will|would|can|could|got|get|ended up"
    r"|think|started|begun|going to|to|very|so) )*"
)
SUBJECT = re.compile(
    rf"(?P<who>[\w'-]+) {_SMALL_WORDS}(?P<not>not )?{_SMALL_WORDS}(?:(?:may|must|should|might) )?$",
    re.IGNORECASE,
)
LEADING_VALUE = re.compile(r"[^,;:.!?()]{1,40}$")

_STOP = (
    r"(?=\s*(?:$|[,;:!?()\n]|\.(?:\s|$)|\s(?:and|but|because|since|while|when|so|instead|rather|not|as|for|if"
    r"|where|which|who|that|with|by|from|to|until|on|in for)\b))"
)
_MACROS = {
    "{who}": SUBJECT.pattern.removesuffix("$"),
    "{who2}": SUBJECT.pattern.removesuffix("$").replace("<who>", "<who2>").replace("<not>", "<not2>"),
    "{v}": rf"(?P<v>(?:[^\s,;:.!?()]|\s|\.(?=\w)){{1,60}}?){_STOP}",
    "{name}": r"(?P<v>(?-i:[A-Z])[\w-]+)",
    "{谁}": r"(?P<who>[^,。,\s]{0,6}?)(?:的)?",
    "{值}": r"了?(?P<v>[^,。!?、\s了]{1,20}?)(?=$|[,。!?、\s了])",
    "{物}": r"(?P<v>[^,。!?、\s了]{1,20}?)",
}


@dataclass(frozen=True, slots=True)
class ClaimPattern:
    """`subject_before` and `value_before` say what stands in front of what is found."""

    slot: str
    found: re.Pattern[str]
    subject_before: bool
    value_before: bool
    holds: bool
    single: bool
    named: bool
    chinese: bool


@cache
def claim_patterns() -> tuple[ClaimPattern, ...]:
    return tuple(_read(*line.split(" = ", 1)) for line in _section("[claims]"))


@cache
def ended_patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(_compiled(line) for line in _section("[ended]"))


@cache
def nouns() -> dict[str, str]:
    """The slot of each noun."""
    lines = (_FOLDER / "nouns.txt").read_text("utf-8").splitlines()
    split = [line.partition(": ") for line in lines if not line.startswith("#")]
    return {word: slot for slot, _, words in split for word in words.split(", ")}


def _section(name: str) -> list[str]:
    text = (_FOLDER / "claims.txt").read_text("utf-8").partition(f"{name}\n")[2].partition("\n[")[0]
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _read(slot: str, pattern: str) -> ClaimPattern:
    subject, value = pattern.startswith("{who}"), pattern.startswith("{lead}")
    return ClaimPattern(
        slot=slot.lstrip("+-!"),
        found=_compiled(pattern.removeprefix("{who}").removeprefix("{lead}")),
        subject_before=subject,
        value_before=value,
        holds=slot[0] != "-",
        single=slot[0] not in "+-",
        named=slot[0] == "!",
        chinese=CHINESE.search(pattern) is not None,
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    pattern = re.sub(r"~(\w+)", lambda verb: _forms(verb[1]), pattern)
    for macro, written in _MACROS.items():
        pattern = pattern.replace(macro, written)
    words = "|".join([*sorted(map(re.escape, nouns()), key=len, reverse=True), r"favourite \w+"])
    pattern = pattern.replace("{noun}", rf"(?P<noun>{words})\b")
    starts_a_word = pattern[0].isascii() and pattern[0] not in "(^[,\\ "
    return re.compile(rf"\b{pattern}" if starts_a_word else pattern, re.IGNORECASE)


def _forms(verb: str) -> str:
    root = verb.removesuffix("e")
    return rf"\b(?:{verb}|{root}{root[-1]}?(?:e?s|e?d|ing))\b"
