"""A week of conversations made from a seed: what is told, told again, changed, and echoed."""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from benchmarks.week.lexicon import Lexicon, Slot

_BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
_SHARES = {"fact": 0.30, "repeat": 0.10, "echo": 0.18, "prompt": 0.06}  # the rest is talk
_PROMPTING = ("ASSISTANT", "OTHER", "USER")


@dataclass(slots=True)
class Fact:
    """One value of a slot. `turns` state it, the first one first; `before` is the fact that it replaced."""

    slot: Slot
    subject: str
    value: str
    before: "Fact | None" = None
    turns: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """`echo` is "memory", "prompt" or "": what it repeats. `fact` is what it tells that is new."""

    id: str
    role: str
    text: str
    at: datetime
    echo: str = ""
    fact: Fact | None = None


class Week:
    """The same for the same seed. `facts` holds every value that was ever told, in order."""

    def __init__(self, lexicon: Lexicon, turns: int, seed: int) -> None:
        self._lexicon, self._random, self._most = lexicon, random.Random(seed), turns  # noqa: S311
        self.turns: list[Turn] = []
        self.facts: list[Fact] = []
        self._current: dict[tuple[str, str], Fact] = {}
        self._untold = [
            (slot, subject, value)
            for slot in lexicon.slots
            for subject in slot.subjects
            for value in self._drawn(slot)
        ]
        self._random.shuffle(self._untold)
        while len(self.turns) < turns:
            self._say()

    def _drawn(self, slot: Slot) -> list[str]:
        """All values, in any order; of those with subjects each holds a few."""
        count = len(slot.values) if slot.many or slot.subjects == [""] else 2
        count = count if slot.many or slot.changes else 1
        return self._random.sample(slot.values, min(count, len(slot.values)))

    def _say(self) -> None:
        kind = self._random.choices([*_SHARES, "talk"], [*_SHARES.values(), 1 - sum(_SHARES.values())])[0]
        told = self.facts[:]
        if kind == "fact" and self._untold:
            self._tell(*self._untold.pop())
        elif kind == "repeat" and told:
            self._repeat(self._random.choice(list(self._current.values())))
        elif kind == "echo" and len(told) > 3:
            self._echo(self._random.choice(self._lexicon.echoes))
        elif kind == "prompt":
            prompt = self._random.choice(self._lexicon.prompts)
            of_itself = prompt.startswith(
                ("I ", "I'm", "My", "As an", "The", "According", "Here", "作为", "根据")
            )
            self._add("ASSISTANT" if of_itself else self._random.choice(_PROMPTING), prompt, "prompt")
        else:
            role, _, text = self._random.choice(self._lexicon.talk).partition(" ")
            self._add(role, text)

    def _tell(self, slot: Slot, subject: str, value: str) -> None:
        fact, phrasing = self._made(slot, subject, value)
        self._state(fact, phrasing, self._around(phrasing))

    def _made(self, slot: Slot, subject: str, value: str) -> tuple[Fact, str]:
        key = (slot.name.removesuffix(" 中文"), subject if not slot.many else value)
        before = self._current.get(key)
        fact = Fact(slot, subject, value, before)
        self.facts.append(fact)
        self._current[key] = fact
        phrasing = self._random.choice(slot.changes if before else slot.statements)
        old = before.value if before else ""
        return fact, _cased(phrasing.replace("{old}", old).replace("{who}", subject).replace("{}", value))

    def _repeat(self, fact: Fact) -> None:
        """Word for word, or in other words."""
        if self._random.random() < 0.5:
            text = self._random.choice(fact.texts)
        else:
            phrasing = self._random.choice(fact.slot.statements)
            text = _cased(phrasing.replace("{who}", fact.subject).replace("{}", fact.value))
        self._state(fact, text, self._around(text))

    def _state(self, fact: Fact, sentence: str, text: str) -> None:
        fact.texts.append(sentence)
        fact.turns.append(self._add("USER", text, fact=fact))

    def _echo(self, frame: str) -> None:
        role, _, text = frame.partition(" ")
        recalled = self._random.sample(self.facts, 3)
        facts = [self._random.choice(fact.texts) for fact in recalled]
        said = self._random.choice(recalled[0].slot.echoes)
        said = _cased(said.replace("{who}", recalled[0].subject).replace("{}", recalled[0].value))
        text = text.replace("{facts_json}", ", ".join(json.dumps(one, ensure_ascii=False) for one in facts))
        text = text.replace("{facts}", "\n".join(f"- {one}" for one in facts)).replace("{you}", said)
        if "{new}" not in text:
            self._add(role, text, "memory")
        elif self._untold:
            fact, sentence = self._made(*self._untold.pop())
            fact.texts.append(sentence)
            fact.turns.append(self._add(role, text.replace("{new}", sentence), "memory", fact))

    def _around(self, sentence: str) -> str:
        """As people say it: with a word before it, or a question behind."""
        before = self._random.choice(["", "", "", "", "Hi! ", "Thanks. ", "Ok, got it. "])
        behind = self._random.choice(["", "", "", "", " Can you help me with that?", " What do you think?"])
        return f"{before}{sentence}{behind}"

    def _add(self, role: str, text: str, echo: str = "", fact: Fact | None = None) -> str:
        number = len(self.turns)
        at = _BEGIN + number * timedelta(days=7) / self._most
        self.turns.append(Turn(f"turn-{number}", role, text, at, echo, fact))
        return f"turn-{number}"


def _cased(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
