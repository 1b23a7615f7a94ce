"""A week gone through: what was remembered of it, and what should have been."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.week.week import Fact, Turn, Week
from innkeeper.engines.extraction.extractor import (
    Action,
    Extractor,
    Finding,
    Guidance,
    Kind,
    Known,
    Reading,
    Said,
)

_TOGETHER = 4  # turns of one reading
_BEFORE = 6


@dataclass(slots=True)
class Kept:
    """A record. `made_of` are the turns it was made of, `said_in` all that say it; `superseded_by` is the
    number of the record that took its place."""

    text: str
    at: datetime
    made_of: set[str]
    said_in: set[str]
    superseded_by: int | None = None


@dataclass(slots=True)
class Shelf:
    """Records in memory: as small as a store can be that applies what an extractor finds."""

    extractor: Extractor
    kept: list[Kept] = field(default_factory=list)

    async def learn(self, turns: Sequence[Turn]) -> None:
        said = [Said(one.id, one.role, one.text, one.at) for one in turns]
        for start in range(0, len(said), _TOGETHER):
            before = said[max(0, start - _BEFORE) : start]
            reading = Reading(Kind.SEMANTIC, said[start : start + _TOGETHER], before=before)
            for finding in await self.extractor.extract(reading):
                await self._apply(finding)

    async def _apply(self, finding: Finding) -> None:
        known = [
            Known(str(number), one.text, one.at, self._before(number))
            for number, one in enumerate(self.kept)
            if one.superseded_by is None
        ]
        verdict = await self.extractor.consolidate(Kind.SEMANTIC, finding, known, Guidance())
        named = [self.kept[int(id_)] for id_ in verdict.replaces]
        if verdict.action is Action.SKIP:
            for one in named:
                one.said_in |= set(finding.sources)
            return
        for one in named:
            one.superseded_by = len(self.kept)
        self.kept.append(Kept(finding.text, finding.at, set(finding.sources), set(finding.sources)))

    def _before(self, number: int) -> list[str]:
        """What it took the place of, the latest first."""
        found, asked = list[str](), {number}
        for place in range(number - 1, -1, -1):
            if self.kept[place].superseded_by in asked:
                asked.add(place)
                found.append(self.kept[place].text)
        return found


@dataclass(slots=True)
class Outcome:
    """Counts, and what went wrong, to be looked at."""

    echoes: int = 0
    records: int = 0
    facts: int = 0
    changes: int = 0
    active_for_a_fact: float = 0
    kept_echoes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    def shares(self) -> dict[str, float]:
        return {
            "echoes rejected": 1 - len(self.kept_echoes) / self.echoes,
            "facts with a record": 1 - len(self.lost) / self.facts,
            "changes answered by the newer fact": 1 - len(self.stale) / self.changes,
            "facts retired that hold": len(self.retired) / self.facts,
        }


def judged(week: Week, kept: Sequence[Kept]) -> Outcome:
    """Holds a week against the records that were made of it."""
    by_turn: dict[str, list[int]] = defaultdict(list)
    for number, one in enumerate(kept):
        for id_ in one.said_in:
            by_turn[id_].append(number)
    out = Outcome(records=len(kept), facts=len(week.facts))
    for turn in week.turns:
        if turn.echo:
            out.echoes += 1
            made = [kept[number] for number in by_turn[turn.id] if turn.id in kept[number].made_of]
            fresh = [one.text for one in made if not _tells(turn, one.text)]
            if fresh:
                out.kept_echoes.append(f"{turn.role}: {turn.text!r} -> {fresh}")
    active = 0
    for fact in week.facts:
        records = _records_of(fact, kept, by_turn)
        if not records:
            out.lost.append(f"{fact.slot.name}: {fact.texts}")
        elif wrong := _retired(fact, records, kept, week, by_turn):
            out.retired.append(f"{fact.slot.name}: {fact.texts}: {wrong}")
        active += sum(kept[number].superseded_by is None for number in records)
        if fact.before:
            out.changes += 1
            if wrong := _stale(fact.before, fact, kept, by_turn):
                out.stale.append(f"{fact.slot.name}: {fact.before.texts} => {fact.texts}: {wrong}")
    current = {id(fact) for fact in week.facts} - {id(fact.before) for fact in week.facts}
    out.active_for_a_fact = active / len(current)
    return out


def _tells(turn: Turn, text: str) -> bool:
    """Whether a record of an echo holds the new fact that the same turn told."""
    return turn.fact is not None and any(text in one or one in text for one in turn.fact.texts)


def _records_of(fact: Fact, kept: Sequence[Kept], by_turn: dict[str, list[int]]) -> list[int]:
    found = {number for turn in fact.turns for number in by_turn[turn]}
    return sorted(number for number in found if fact.value.lower() in kept[number].text.lower())


def _retired(
    fact: Fact, records: Sequence[int], kept: Sequence[Kept], week: Week, by_turn: dict[str, list[int]]
) -> str:
    """What took the place of a record of it without telling of it or of what came after it."""
    later = {id(fact)}
    for one in week.facts:
        if one.before and id(one.before) in later:
            later.add(id(one))
    rightly = {
        number for one in week.facts if id(one) in later for turn in one.turns for number in by_turn[turn]
    }
    for number in records:
        successor = kept[number].superseded_by
        if successor is not None and successor not in rightly:
            return f"{kept[number].text!r} by {kept[successor].text!r}"
    return ""


def _stale(old: Fact, new: Fact, kept: Sequence[Kept], by_turn: dict[str, list[int]]) -> str:
    """What is wrong: the older fact still stands, or what took its place does not lead to the newer one."""
    newer = {number for turn in new.turns for number in by_turn[turn]}
    for number in _records_of(old, kept, by_turn):
        if number in newer:
            continue
        if kept[number].superseded_by is None:
            return f"{kept[number].text!r} still stands"
        while number not in newer and (following := kept[number].superseded_by) is not None:
            number = following
        if number not in newer:
            return f"its history leads to {kept[number].text!r}"
    return ""
