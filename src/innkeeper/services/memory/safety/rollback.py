"""Rollback: the records of a memory, or of a part of it, as they were at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.namespaces import Scope
from innkeeper.services.memory.records.model import Record
from innkeeper.services.memory.safety import history_store
from innkeeper.services.memory.safety.ledger import Entry, Ledger
from innkeeper.services.memory.safety.model import Action, Change, record_of

_PIECE = 500


@dataclass(frozen=True, slots=True)
class Undone:
    """Ids of records: those that are there again, those that are as they were, those that are gone again; and
    those whose state then was erased or let go, which stay as they are."""

    restored: list[str]
    changed: list[str]
    removed: list[str]
    unknown: list[str]


class Rollback:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def to(
        self, memory: Memory, moment: datetime, scope: Scope | None, by: str, *, dry: bool
    ) -> Undone:
        """One transaction: all of it or nothing. It leaves a history like any change, and can be undone.
        A second one to the same time changes nothing. With `scope`, records that lay or lie there. `dry` only
        says what would be."""
        undone = Undone([], [], [], [])
        async with self._ledger.entry(memory.account, memory.id, by) as entry:
            first = await _first_changes(entry.connection, memory, moment)
            ids = list(first)
            for start in range(0, len(ids), _PIECE):
                some = ids[start : start + _PIECE]
                present = await entry.find(some)
                for id_ in some:
                    await _undo(entry, first[id_], present.get(id_), scope, undone, dry=dry)
        return undone


async def _first_changes(connection: AsyncConnection, memory: Memory, moment: datetime) -> dict[str, Change]:
    """Of each record the first change after the moment: what was before it was then."""
    first: dict[str, Change] = {}
    before: int | None = None
    while True:
        piece: Sequence[Change] = await history_store.changes_since(
            connection, memory.account, memory.id, moment, before, _PIECE
        )
        # What was taken into the history was there before, as it was then.
        first |= {change.record_id: change for change in piece if change.action is not Action.ADOPT}
        if len(piece) < _PIECE:
            return first
        before = piece[-1].sequence


async def _undo(
    entry: Entry, change: Change, now: Record | None, scope: Scope | None, undone: Undone, *, dry: bool
) -> None:
    id_ = change.record_id
    if change.erased is not None:
        undone.unknown.append(id_)
        return
    if change.shortened is not None:
        if scope is None or scope.contains(now.namespace if now else change.namespace):
            undone.unknown.append(id_)
        return
    then = None if change.before is None else record_of(change.before)
    places = [one.namespace for one in (then, now) if one is not None]
    if then == now or (scope is not None and not any(map(scope.contains, places))):
        return
    if then is None and now is not None:
        undone.removed.append(id_)
        if not dry:
            await entry.delete([now], Action.RESTORE)
    elif then is not None and now is None:
        undone.restored.append(id_)
        if not dry:
            await entry.restore(change.row, then)
    elif then is not None and now is not None:
        undone.changed.append(id_)
        if not dry:
            values = {one.name: getattr(then, one.name) for one in fields(Record)}
            await entry.update(now, values, Action.RESTORE)
