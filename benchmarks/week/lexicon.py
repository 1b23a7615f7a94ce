"""The words of the week: what facts there are and in which phrasings people tell them."""

from dataclasses import dataclass, field
from pathlib import Path

_FOLDER = Path(__file__).parent
_OTHERS = ("open", "third", "fourth")  # with slots of their own
_ECHOED = {"open": "held", "fourth": "third"}  # whose prompts and echoes they share


@dataclass(slots=True)
class Slot:
    """`many` slots hold several values at once. `{}` in a phrasing is the value, `{who}` the subject."""

    name: str
    many: bool
    subjects: list[str]
    values: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    echoes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lexicon:
    slots: list[Slot]
    echoes: list[str]
    prompts: list[str]
    talk: list[str]


def lexicon(half: str) -> Lexicon:
    """`half` is "seen" or "held", two ways of telling the same slots, or has slots of its own."""
    slots = _slots(_lines(f"{half}.txt" if half in _OTHERS else "seen.txt"))
    if half == "held":
        for slot in slots.values():
            slot.statements, slot.changes, slot.echoes = [], [], []
        _phrase(slots, _lines(f"{half}.txt"))
    half = _ECHOED.get(half, half)
    prompts = _paragraphs(f"prompts_{half}.txt")
    echoes = [line.replace("\\n", "\n") for line in _lines(f"echoes_{half}.txt")]
    return Lexicon(
        list(slots.values()), echoes, prompts, [one.replace("\\n", "\n") for one in _lines("talk.txt")]
    )


def pairs(half: str) -> list[tuple[str, str]]:
    """Sentences that are both true, in either order; of "seen" or "third"."""
    read = [line.split(" | ") for line in _lines(f"beside_{half}.txt")]
    return [pair for one, other in read for pair in ((one, other), (other, one))]


def _lines(file: str) -> list[str]:
    lines = (_FOLDER / file).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("# ")]


def _slots(lines: list[str]) -> dict[str, Slot]:
    lists = {
        name: given.split(" | ")
        for line in lines
        if line[0] == "@"
        for name, given in [line[1:].split(" = ")]
    }
    slots = {}
    for line in lines:
        if line[0] == "[":
            name, _, subject = line[1:-1].removesuffix(" *").partition(" @")
            slots[line] = Slot(name, line.endswith("*]"), lists[subject] if subject else [""])
    _phrase(slots, [line for line in lines if line[0] != "@"])
    return slots


def _phrase(slots: dict[str, Slot], lines: list[str]) -> None:
    slot = next(iter(slots.values()))
    for line in lines:
        match line[0]:
            case "[":
                slot = slots[line]
            case "=":
                slot.values = line[2:].split(" | ")
            case ">":
                slot.changes.append(line[2:])
            case "<":
                slot.echoes.append(line[2:])
            case _:
                slot.statements.append(line)


def _paragraphs(file: str) -> list[str]:
    """One a line; those of several lines stand under a heading and end with ---."""
    found: list[str] = []
    heading: list[str] = []
    for line in (_FOLDER / file).read_text("utf-8").splitlines():
        if line == "---":
            found.append("\n".join(heading))
            heading = []
        elif heading or line.startswith("#"):
            heading.append(line)
        else:
            found.append(line)
    return found
