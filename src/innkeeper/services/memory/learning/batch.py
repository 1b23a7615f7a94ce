"""A batch: findings of a job that become records in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from innkeeper.engines.extraction.extractor import Action, Verdict
from innkeeper.services.memory.learning.model import Found
from innkeeper.services.memory.records.model import Record, succession


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a finding: `record` is kept unless the verdict is to skip it."""

    found: Found
    record: Record
    verdict: Verdict


class Batch:
    """Each finding is decided on as if those before it were written already. `newest` are records of the
    job's namespace as it is, `replaced` those that they took the place of, by id."""

    def __init__(self, newest: Sequence[Record], replaced: Mapping[str, Sequence[Record]]) -> None:
        self.decisions: list[Decision] = []
        self._standing = {one.record_id: one for one in newest}
        self._retired: set[str] = set()
        self._before = {id_: [one.text for one in older] for id_, older in replaced.items()}

    @property
    def made(self) -> Sequence[Record]:
        """Those that it will write."""
        return [one.record for one in self.decisions if one.verdict.action is not Action.SKIP]

    @property
    def standing(self) -> Sequence[Record]:
        """What holds, the newest first."""
        return list(self._standing.values())

    def before(self, record_id: str) -> Sequence[str]:
        """The texts of what it took the place of, the latest first."""
        return self._before.get(record_id, ())

    def near(self, found: Sequence[Record]) -> dict[str, Record]:
        """By id: of what a search found what holds still, and then all that stands."""
        held = [one for one in found if one.record_id not in self._retired]
        return {one.record_id: self._standing.get(one.record_id, one) for one in (*held, *self.standing)}

    def decide(self, decision: Decision, near: dict[str, Record], now: datetime) -> None:
        """`near` has the records that the verdict names."""
        self.decisions.append(decision)
        if decision.verdict.action is Action.SKIP:
            return
        replaced = [near[id_] for id_ in decision.verdict.replaces]
        record, retired = succession(decision.record, replaced, now)
        for one in retired:
            self._standing.pop(one.record_id, None)
            self._retired.add(one.record_id)
            self._before.setdefault(record.record_id, []).extend([one.text, *self.before(one.record_id)])
        if record.holds(now):
            self._standing = {record.record_id: record} | self._standing
