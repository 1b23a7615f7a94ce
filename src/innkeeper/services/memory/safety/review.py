"""Review: what vetting has set aside is let in, or let go of."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Database
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import Conflict, NotFound
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.model import Memory, check_text
from innkeeper.services.memory.records.model import Record, RecordStatus
from innkeeper.services.memory.records.store import list_quarantined
from innkeeper.services.memory.safety import held_store
from innkeeper.services.memory.safety.held import Held, HeldKind
from innkeeper.services.memory.safety.ledger import Entry, Ledger
from innkeeper.services.memory.safety.model import Action

PutBack = Callable[[AsyncConnection, Held], Awaitable[None]]
"""Puts a text where it was meant to stand, in the caller's transaction. Raises Conflict, NotFound when that
is not there any more as it was."""

_HELD = "held-"

_WAITING = Cursor("quarantine", int, int)


class Review:
    """Records stand where they are, and are marked; other texts are held apart until `put_back` has them."""

    def __init__(
        self, database: Database, ledger: Ledger, bell: Bell, put_back: Mapping[HeldKind, PutBack]
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._bell = bell
        self._put_back = put_back

    async def quarantine(self, memory: Memory, page: PageRequest) -> Page[Record | Held]:
        """What waits: records, then texts; of each the oldest first."""
        place, limit = (memory.account, memory.id), page.size + 1
        cursor = _WAITING.of(*place)
        after, after_held = cursor.after(page) or (0, 0)
        rows: list[tuple[int, int, Record | Held]]
        async with self._database.begin() as connection:
            records = await list_quarantined(connection, *place, after, limit)
            rows = [(row, after_held, record) for row, record in records]
            last = rows[-1][0] if rows else after
            texts = await held_store.list_held(connection, *place, after_held, limit - len(rows))
        rows += [(last, row, text) for row, text in texts]
        shown = cursor.page(page, rows, key=lambda one: (one[0], one[1]))
        return Page([one for _, _, one in shown.items], shown.next_token)

    async def release(self, caller: Caller, memory: Memory, id_: str) -> Record | Held:
        """It is found from now on. Raises NotFound; Conflict when it is in no quarantine, or what it was
        written on has changed since."""
        if id_.startswith(_HELD):
            async with self._database.begin() as connection:
                text = await _taken(connection, memory, id_)
                await self._put_back[text.kind](connection, text)
            self._bell.ring()
            return text
        async with self._ledger.entry(memory.account, memory.id, caller.principal) as entry:
            record = await _set_aside(entry, id_)
            values = {"status": RecordStatus.ACTIVE, "updated_at": entry.now}
            return await entry.update(record, values, Action.RELEASE)

    async def reject(self, caller: Caller, memory: Memory, id_: str) -> None:
        """It is deleted. Raises NotFound; Conflict when it is in no quarantine."""
        if id_.startswith(_HELD):
            async with self._database.begin() as connection:
                await _taken(connection, memory, id_)
            return
        async with self._ledger.entry(memory.account, memory.id, caller.principal) as entry:
            await entry.delete([await _set_aside(entry, id_)], Action.REJECT)


async def _taken(connection: AsyncConnection, memory: Memory, id_: str) -> Held:
    check_text("id", id_)
    text = await held_store.take(connection, memory.account, memory.id, id_)
    if text is None:
        raise NotFound(f"Nothing waits for review as {id_}")
    return text


async def _set_aside(entry: Entry, record_id: str) -> Record:
    found: Sequence[Record] = list((await entry.find([record_id])).values())
    if not found:
        raise NotFound(f"Memory record {record_id} does not exist")
    if found[0].status is not RecordStatus.QUARANTINED:
        raise Conflict(f"Memory record {record_id} is {found[0].status}, not QUARANTINED")
    return found[0]
