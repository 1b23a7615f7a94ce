"""Safety of a memory: what it lets in, and the way back."""

from datetime import datetime

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.memory.model import Memory, invalid
from innkeeper.services.memory.namespaces import Scope
from innkeeper.services.memory.safety import history_store, store
from innkeeper.services.memory.safety.audit import Audit, Report
from innkeeper.services.memory.safety.ledger import Ledger
from innkeeper.services.memory.safety.model import Change
from innkeeper.services.memory.safety.policy import Policy, policy_of, shown
from innkeeper.services.memory.safety.rollback import Rollback, Undone
from innkeeper.services.memory.safety.vetter import Vetter

_CHANGES = Cursor("changes of records", int)


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

    async def changes(self, memory: Memory, record_id: str | None, page: PageRequest) -> Page[Change]:
        """The history of all records, or of one, in its order."""
        place = memory.account, memory.id
        cursor = _CHANGES.of(*place, record_id or "")
        (after,) = cursor.after(page) or (0,)
        async with self._database.begin() as connection:
            if record_id is None:
                found = await history_store.changes_after(connection, *place, after, page.size + 1)
            else:
                found = await history_store.changes_of(connection, *place, record_id, after, page.size + 1)
        return cursor.page(page, found, key=lambda one: (one.sequence,))

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
