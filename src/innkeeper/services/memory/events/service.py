"""Events: written, read, listed, deleted; the sessions and actors that they make."""

import json
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from functools import partial

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound
from innkeeper.kernel.page import Cursor, Page, PageRequest, fitting
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.digests.model import Ending
from innkeeper.services.memory.events import store, writing_store
from innkeeper.services.memory.events.branches import Lineage, lineage
from innkeeper.services.memory.events.journal import Journal
from innkeeper.services.memory.events.model import (
    TRUNK,
    Event,
    SessionKey,
    check_filters,
    matches,
    new_event_id,
    request_digest,
)
from innkeeper.services.memory.model import Limits, check_text, invalid
from innkeeper.services.memory.service import Memories, place
from innkeeper.services.memory.variables import check_values

_EMPTY_SESSION_KEPT = timedelta(days=1)
_PIECE = 1000
_SCAN = 200
_EVENTS = Cursor("events", datetime, int)
_SESSIONS = Cursor("sessions of an actor", datetime, str)
_ACTORS = Cursor("actors", str)


class Events:
    def __init__(
        self, database: Database, memories: Memories, limits: Limits, bell: Bell, clock: Clock
    ) -> None:
        self._database = database
        self._memories = memories
        self._limits = limits
        self._bell = bell
        self._clock = clock
        self._journal: Journal[Event, Event] = Journal(
            self._write, limits.queued_events, limits.write_seconds
        )

    async def create(self, caller: Caller, params: Document) -> Event:
        """Durable on return; a repeat under the same token gives the first one. Raises InvalidRequest,
        NotFound, Throttled."""
        return await self._put(caller, params, params["payload"], params["eventTimestamp"], listed=True)

    async def ingest(self, caller: Caller, params: Document) -> Event:
        """Content to learn from, which no list of events shows."""
        payload = params["source"].get("inline", {}).get("payload")
        if not payload:
            raise invalid("source", "only inline content is supported")
        return await self._put(caller, params, payload, params["contentTimestamp"], listed=False)

    async def get(self, caller: Caller, params: Document) -> Event:
        """Raises NotFound."""
        key = await self._key(caller, params)
        async with self._database.begin() as connection:
            found = await store.find_event(connection, key, params["eventId"], self._clock.now())
        if found is None:
            raise _unknown(params["eventId"])
        return found

    async def delete(self, caller: Caller, params: Document) -> None:
        """Its turns go too. Raises NotFound."""
        key = await self._key(caller, params)
        async with self._database.begin() as connection:
            if not await store.delete_event(connection, key, params["eventId"], self._clock.now()):
                raise _unknown(params["eventId"])

    async def list(self, caller: Caller, params: Document, page: PageRequest) -> Page[Event]:
        """The newest first, of one branch or of all; with their payloads unless these are declined. Raises
        NotFound, InvalidRequest."""
        key = await self._key(caller, params)
        wanted = params.get("filter", {})
        filters = wanted.get("eventMetadata", [])
        check_filters(filters)
        line = await self._line(key, wanted["branch"]) if wanted.get("branch") else None
        cursor = _EVENTS.of(*astuple(key))
        after = cursor.after(page)
        found: list[tuple[store.Place, Event]] = []
        now, scan = self._clock.now(), _SCAN if filters else page.size + 1
        more = True
        while more and len(found) <= page.size:
            async with self._database.begin() as connection:
                rows = await store.list_events(connection, key, line, after, scan, now)
            found += [row for row in rows if matches(row[1].metadata, filters)]
            more = len(rows) == scan
            after = rows[-1][0] if rows else after
        whole: Sequence[tuple[store.Place, Event]] = found[: page.size]
        room = None
        if params.get("includePayloads") is not False:
            whole, room = await self._with_payloads(key, whole)
        shown = cursor.page(page, found[: page.size + 1], lambda row: row[0], room)
        return Page([event for _, event in whole], shown.next_token)

    async def backwards(
        self, key: SessionKey, branch: str, ending: Ending | None = None
    ) -> AsyncIterator[tuple[store.Place, Event]]:
        """A branch with what led to it, the newest first, each with its place; without what is in the digest
        that ends there."""
        line = await self._line(key, {"name": branch, "includeParentBranches": True})
        now, after, more = self._clock.now(), None, True
        while more:
            async with self._database.begin() as connection:
                rows = await store.list_events(connection, key, line, after, _SCAN, now, ending)
            after, more = rows[-1][0] if rows else None, len(rows) == _SCAN
            while rows:
                whole, count = await self._with_payloads(key, rows)
                for row in whole:
                    yield row
                rows = rows[count:]

    async def oldest(
        self, key: SessionKey, branch: str, ending: Ending | None, until: store.Place, limit: int
    ) -> Sequence[tuple[store.Place, Event]]:
        """Of a branch with what led to it what is not in its digest, before a place, the oldest first. They
        may be fewer than `limit`, but not none, when more are there."""
        line = await self._line(key, {"name": branch, "includeParentBranches": True})
        while True:
            async with self._database.begin() as connection:
                now = self._clock.now()
                rows = await store.oldest_events(connection, key, line, ending, until, limit, now)
            whole, _ = await self._with_payloads(key, rows)
            if whole or not rows:
                return whole

    async def check_branch(self, key: SessionKey, name: str) -> None:
        """Raises NotFound."""
        if name == TRUNK:
            return
        async with self._database.begin() as connection:
            if name not in await store.find_branches(connection, key):
                raise NotFound(f"Branch {name} does not exist in session {key.session}")

    async def still_there(self, key: SessionKey, branch: str, ids: Collection[str]) -> dict[str, int]:
        """Of a memory's events those that have not expired, each with how many turns it has; in the session
        itself, only those of a branch and of what led to it, and what was ingested."""
        line = await self._line(key, {"name": branch, "includeParentBranches": True})
        async with self._database.begin() as connection:
            return await store.events_beside(connection, key, line, ids, self._clock.now())

    async def sessions(
        self, caller: Caller, params: Document, page: PageRequest
    ) -> Page[tuple[str, datetime]]:
        """Ids and times of creation, the newest first."""
        memory = await self._memories.active(caller, params["memoryId"])
        only_full = params.get("filter", {}).get("eventFilter") == "HAS_EVENTS"
        now = self._clock.now() if only_full else None
        cursor = _SESSIONS.of(memory.account, memory.id, params["actorId"])
        after = cursor.after(page)
        async with self._database.begin() as connection:
            found = await store.list_sessions(
                connection, memory.account, memory.id, params["actorId"], now, after, page.size + 1
            )
        return cursor.page(page, found, key=lambda one: (one[1], one[0]))

    async def actors(self, caller: Caller, memory_id: str, page: PageRequest) -> Page[str]:
        memory = await self._memories.active(caller, memory_id)
        cursor = _ACTORS.of(memory.account, memory.id)
        after = cursor.after(page)
        async with self._database.begin() as connection:
            found = await store.list_actors(
                connection, memory.account, memory.id, after and after[0], page.size + 1
            )
        return cursor.page(page, found, key=lambda one: (one,))

    async def prune(self) -> None:
        """Let go of what has expired, and of sessions that were left empty."""
        now = self._clock.now()
        gone = _PIECE
        while gone == _PIECE:
            async with self._database.begin() as connection:
                gone = await store.prune_events(connection, now, _PIECE)
        async with self._database.begin() as connection:
            await store.prune_sessions(connection, now, _EMPTY_SESSION_KEPT)

    async def close(self) -> None:
        await self._journal.close()

    async def _put(
        self,
        caller: Caller,
        params: Document,
        payload: Sequence[Document],
        happened_at: datetime,
        *,
        listed: bool,
    ) -> Event:
        account, memory = place(caller, params["memoryId"])
        key = SessionKey(account, memory, params["actorId"], params.get("sessionId") or uuid.uuid4().hex)
        branch = params.get("branch", {})
        if branch.get("name") == TRUNK and branch.get("rootEventId"):
            raise invalid("branch.name", f"{TRUNK} is the session itself; give the branch another name")
        event = Event(
            key=key,
            id=new_event_id(happened_at),
            happened_at=happened_at,
            payload=list(payload),
            metadata=params.get("metadata", {}),
            branch=None if branch.get("name") == TRUNK else branch.get("name"),
            root_event_id=branch.get("rootEventId"),
            request=request_digest(key, params.get("clientToken")),
            listed=listed,
            skip_extraction=params.get("extractionMode") == "SKIP",
            namespace_variables=params.get("extractionConfig", {}).get("namespaceVariables"),
        )
        self._check(event)
        if event.namespace_variables:
            known = (await self._memories.active(caller, params["memoryId"])).configuration
            check_values(known.get("namespaceKeys", ()), event.namespace_variables)
        return await self._journal.put(event)

    def _check(self, event: Event) -> None:
        for _, text in event.messages():
            check_text("payload", text)
        if len(json.dumps(event.payload)) > self._limits.event_bytes:
            raise invalid("payload", f"it may have at most {self._limits.event_bytes} bytes as JSON")

    async def _write(self, wanted: Sequence[Event]) -> Sequence[Event | Exception]:
        now = self._clock.now()
        learn_at = now + timedelta(seconds=self._limits.learn_after_seconds)
        work = partial(writing_store.write, wanted=wanted, now=now, learn_at=learn_at)
        results = await self._database.in_thread(work)
        self._bell.ring()
        return results

    async def _key(self, caller: Caller, params: Document) -> SessionKey:
        memory = await self._memories.active(caller, params["memoryId"])
        return SessionKey(memory.account, memory.id, params["actorId"], params["sessionId"])

    async def _with_payloads(
        self, key: SessionKey, rows: Sequence[tuple[store.Place, Event]]
    ) -> tuple[Sequence[tuple[store.Place, Event]], int]:
        """The first ones, as many as may be in memory together, without those that were deleted meanwhile;
        and how many these were."""
        numbers = [row for (_, row), _ in rows]
        async with self._database.begin() as connection:
            sizes = await store.payload_sizes(connection, key, numbers)
            count = fitting((sizes.get(row, 0) for row in numbers), self._limits.page_bytes)
            payloads = await store.payloads_of(connection, key, numbers[:count])
        whole = [(at, replace(one, payload=payloads[at[1]])) for at, one in rows[:count] if at[1] in payloads]
        return whole, count

    async def _line(self, key: SessionKey, branch: Document) -> Lineage:
        async with self._database.begin() as connection:
            known = await store.find_branches(connection, key)
        return lineage(branch["name"], known, branch.get("includeParentBranches", False))


def _unknown(event_id: str) -> NotFound:
    return NotFound(f"Event {event_id} does not exist in this session")
