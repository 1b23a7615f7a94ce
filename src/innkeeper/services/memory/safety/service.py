"""Safety of a memory: what it lets in, what waits for review, and the way back."""

from collections.abc import Sequence
from datetime import datetime

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.memory.model import Memory, invalid, place_after, row_part
from innkeeper.services.memory.namespaces import Scope
from innkeeper.services.memory.records.model import Record, RecordStatus
from innkeeper.services.memory.records.store import list_quarantined
from innkeeper.services.memory.safety import history_store, store
from innkeeper.services.memory.safety.audit import Audit, Report
from innkeeper.services.memory.safety.ledger import Entry, Ledger
from innkeeper.services.memory.safety.model import Action, Change
from innkeeper.services.memory.safety.policy import Policy, policy_of, shown
from innkeeper.services.memory.safety.rollback import Rollback, Undone
from innkeeper.services.memory.safety.vetter import Vetter


class Safety:
    def __init__(self, database: Database, ledger: Ledger, vetter: Vetter, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._vetter = vetter
        self._clock = clock
        self._audit = Audit(database, ledger)
        self._rollback = Rollback(ledger)

    async def policy(self, memory: Memory) -> Policy:
        return await self._vetter.policy(memory)

    async def put_policy(self, memory: Memory, members: Document) -> Policy:
        """Wholly: what is not named is as usual again. Raises InvalidRequest."""
        policy = policy_of(members)
        async with self._database.begin() as connection:
            await store.put_policy(connection, memory.account, memory.id, shown(policy), self._clock.now())
        return policy

    async def quarantine(self, memory: Memory, page: PageRequest) -> Page[Record]:
        """What waits for review, the oldest first."""
        (after,) = place_after(page, row_part) or (0,)
        async with self._database.begin() as connection:
            rows = await list_quarantined(connection, memory.account, memory.id, after, page.size + 1)
        shown_rows = page.page(rows, key=lambda one: (str(one[0]),))
        return Page([record for _, record in shown_rows.items], shown_rows.next_token)

    async def release(self, caller: Caller, memory: Memory, record_id: str) -> Record:
        """It is found from now on. Raises NotFound; Conflict when it is in no quarantine."""
        async with self._ledger.entry(memory.account, memory.id, caller.principal) as entry:
            record = await _set_aside(entry, record_id)
            values = {"status": RecordStatus.ACTIVE, "updated_at": entry.now}
            return await entry.update(record, values, Action.RELEASE)

    async def reject(self, caller: Caller, memory: Memory, record_id: str) -> None:
        """It is deleted. Raises NotFound; Conflict when it is in no quarantine."""
        async with self._ledger.entry(memory.account, memory.id, caller.principal) as entry:
            await entry.delete([await _set_aside(entry, record_id)], Action.REJECT)

    async def changes(self, memory: Memory, record_id: str | None, page: PageRequest) -> Page[Change]:
        """The history of all records, or of one, in its order."""
        (after,) = place_after(page, row_part) or (0,)
        place = memory.account, memory.id
        async with self._database.begin() as connection:
            if record_id is None:
                found = await history_store.changes_after(connection, *place, after, page.size + 1)
            else:
                found = await history_store.changes_of(connection, *place, record_id, after, page.size + 1)
        return page.page(found, key=lambda one: (str(one.sequence),))

    async def check(self, memory: Memory) -> Report:
        """Whether history and records are whole."""
        return await self._audit.check(memory)

    async def roll_back(
        self, caller: Caller, memory: Memory, moment: datetime, path: str | None, *, dry: bool
    ) -> Undone:
        """Records of the memory, or those at and below a path, as they were. Raises InvalidRequest for a time
        to come."""
        if moment > self._clock.now():
            raise invalid("to", "must not be in the future")
        scope = None if path is None else Scope(path, subtree=True)
        return await self._rollback.to(memory, moment, scope, caller.principal, dry=dry)


async def _set_aside(entry: Entry, record_id: str) -> Record:
    found: Sequence[Record] = list((await entry.find([record_id])).values())
    if not found:
        raise NotFound(f"Memory record {record_id} does not exist")
    if found[0].status is not RecordStatus.QUARANTINED:
        raise Conflict(f"Memory record {record_id} is {found[0].status}, not QUARANTINED")
    return found[0]
