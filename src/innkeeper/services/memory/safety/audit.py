"""Auditing a memory: whether its history is whole, and its records are what their history says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from innkeeper.engines.store.database import Database
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.records.store import list_all
from innkeeper.services.memory.safety import history_store
from innkeeper.services.memory.safety.chain import Chain
from innkeeper.services.memory.safety.history_store import Head
from innkeeper.services.memory.safety.ledger import Ledger
from innkeeper.services.memory.safety.model import Action, Change, state_of

_PIECE = 500
_FAULTS_MAX = 20
_OUTSIDE = "the record was changed outside its history before"


@dataclass(frozen=True, slots=True)
class Fault:
    record_id: str
    sequence: int | None
    what: str


@dataclass(slots=True)
class Report:
    """`head` is the MAC of the last change: who keeps it elsewhere can tell later that no end was cut off.
    `before_history` are records that were there before the memory had a history, which took them in at
    `adopted_at`: what they were until then nobody knows. Of `shortened` changes the state was let go.
    `faults` are the first ones."""

    changes: int = 0
    erased: int = 0
    shortened: int = 0
    records: int = 0
    before_history: int = 0
    adopted_at: datetime | None = None
    head: str = ""
    faults: list[Fault] = field(default_factory=list)

    def fault(self, record_id: str, sequence: int | None, what: str) -> None:
        if len(self.faults) < _FAULTS_MAX:
            self.faults.append(Fault(record_id, sequence, what))


class Audit:
    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def check(self, memory: Memory) -> Report:
        """What changes while it runs is left for the next time."""
        report = Report()
        async with self._database.begin() as connection:
            chain = await self._ledger.chain(connection, memory.account, memory.id)
            head = await history_store.find_head(connection, memory.account, memory.id)
        report.head = head.mac
        latest = await self._walk(memory, head, chain, report)
        await self._compare(memory, head, chain, latest, report)
        return report

    async def _walk(self, memory: Memory, head: Head, chain: Chain, report: Report) -> dict[str, Change]:
        """The chain up to its head. The last change of each record."""
        latest: dict[str, Change] = {}
        rootless: dict[str, int] = {}
        last = Head(memory.account, memory.id)
        while last.sequence < head.sequence:
            async with self._database.begin() as connection:
                piece = await history_store.changes_after(
                    connection, memory.account, memory.id, last.sequence, _PIECE, strict=False
                )
            for change in piece:
                if change.sequence <= head.sequence:
                    _check(change, last, chain, report)
                    _check_root(change, latest, rootless, report)
                    last = Head(memory.account, memory.id, change.sequence, change.mac)
            if not piece:
                break
        for id_, sequence in rootless.items():
            report.fault(id_, sequence, _OUTSIDE)
        if (last.sequence, last.mac) != (head.sequence, head.mac):
            report.fault("", head.sequence, "the end of the history is missing")
        return latest

    async def _compare(
        self, memory: Memory, head: Head, chain: Chain, latest: dict[str, Change], report: Report
    ) -> None:
        """Records with what their last change says that they became."""
        wrong: dict[str, str] = {}
        left, last = {id_ for id_, one in latest.items() if one.became and not one.erased}, 0
        while True:
            async with self._database.begin() as connection:
                rows = await list_all(connection, memory.account, memory.id, last, _PIECE, strict=False)
            last = rows[-1][0] if rows else last
            for _, record in rows:
                report.records += 1
                left.discard(record.record_id)
                change = latest.get(record.record_id)
                if change is None or change.became != chain.digest(state_of(record)):
                    wrong[record.record_id] = "the record is not what its history says"
            if len(rows) < _PIECE:
                break
        wrong |= dict.fromkeys(left, "the record is missing")
        for id_ in sorted(set(wrong) - await self._changed_since(memory, head, list(wrong))):
            report.fault(id_, None, wrong[id_])

    async def _changed_since(self, memory: Memory, head: Head, ids: Sequence[str]) -> set[str]:
        changed: set[str] = set()
        for start in range(0, len(ids), _PIECE):
            some = ids[start : start + _PIECE]
            async with self._database.begin() as connection:
                changed |= await history_store.changed_after(
                    connection, memory.account, memory.id, head.sequence, some
                )
        return changed


def _check(change: Change, last: Head, chain: Chain, report: Report) -> None:
    report.changes += 1
    id_, sequence = change.record_id, change.sequence
    if sequence != last.sequence + 1:
        report.fault(id_, sequence, "changes before this one are missing")
    if change.mac != chain.link(change, last.mac):
        report.fault(id_, sequence, "the change was altered")
    if change.erased is not None:
        report.erased += 1
        if change.erased != chain.erasure(change.mac):
            report.fault(id_, sequence, "the state was erased by somebody else")
    elif change.shortened is not None:
        report.shortened += 1
        if change.shortened != chain.shortening(change.mac):
            report.fault(id_, sequence, "the state was let go by somebody else")
    elif change.action is not Action.ADOPT and chain.digest(change.before) != change.was:
        report.fault(id_, sequence, "the state before was altered")


def _check_root(change: Change, latest: dict[str, Change], rootless: dict[str, int], report: Report) -> None:
    """Whether it goes on from where the record's last change ended. One that begins in the middle is older
    than the history, if that has taken it in."""
    id_, earlier = change.record_id, latest.get(change.record_id)
    if earlier is None and change.was is not None:
        rootless[id_] = change.sequence
    elif earlier is not None and change.was != earlier.became:
        report.fault(id_, change.sequence, _OUTSIDE)
    if change.action is Action.ADOPT:
        rootless.pop(id_, None)
        report.before_history += 1
        report.adopted_at = report.adopted_at or change.at
        if report.adopted_at != change.at:
            report.fault(id_, change.sequence, "records were taken into the history for a second time")
    latest[id_] = change
