"""Records by hand: made, changed and deleted in batches, read, listed by namespace."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from innkeeper.engines.store.client_tokens import claim
from innkeeper.engines.store.database import Database
from innkeeper.engines.vetting.vetting import Judgement
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import InnkeeperError, NotFound
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.memory.model import Memory, check_text, invalid
from innkeeper.services.memory.namespaces import Scope, may_hold_records
from innkeeper.services.memory.records import metadata, store
from innkeeper.services.memory.records.model import (
    NO_STRATEGY,
    SOURCES_MAX,
    Outcome,
    Record,
    Trust,
    ended,
    kept_metadata,
    new_record_id,
    shown_metadata,
    succession,
)
from innkeeper.services.memory.safety.ledger import Entry, Ledger
from innkeeper.services.memory.safety.model import Action
from innkeeper.services.memory.safety.policy import Policy
from innkeeper.services.memory.safety.vetter import Vetter, vetted
from innkeeper.services.memory.service import Memories

_PIECE = 200
_SCAN = 500
_EXPIRY = "expiry"
_RECORDS = Cursor("memory records", int)
# What changes of a record that is learned anew.
_LEARNED = (
    "text",
    "metadata",
    "happened_at",
    "updated_at",
    "valid_from",
    "expires_at",
    "source_event_ids",
    "trust",
)


class Records:
    def __init__(
        self, database: Database, ledger: Ledger, vetter: Vetter, memories: Memories, clock: Clock
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._vetter = vetter
        self._memories = memories
        self._clock = clock

    async def create(self, caller: Caller, params: Document) -> Sequence[Outcome]:
        """One outcome for each, in order; a repeat under the same token makes nothing. Raises NotFound,
        InvalidRequest."""
        memory = await self._memories.active(caller, params["memoryId"])
        if "action" in params.get("recordExpirySpecification", {}):
            raise invalid("recordExpirySpecification", "a new record has no expiry that could be removed")
        attempt = new_record_id()
        vetting = await self._vetting(caller, memory, params["records"])
        async with self._ledger.entry(memory.account, memory.id, caller.principal) as entry:
            now, name = entry.now, "BatchCreateMemoryRecords"
            expiry = _expiry(params, now)
            first = await claim(entry.connection, memory.account, name, params, attempt, now)
            made, outcomes = [], []
            for number, wanted in enumerate(params["records"]):
                id_ = _id_of(first, number)
                outcome, record = _made(vetting, wanted, id_, expiry, now)
                outcomes.append(outcome)
                made += [record] if record else []
            if first == attempt:
                await entry.create(made)
        return outcomes

    async def update(self, caller: Caller, params: Document) -> Sequence[Outcome]:
        """One outcome for each, in order. Raises NotFound for the memory."""
        memory = await self._memories.active(caller, params["memoryId"])
        ids = [one["memoryRecordId"] for one in params["records"]]
        vetting = await self._vetting(caller, memory, params["records"])
        outcomes = []
        async with self._ledger.entry(memory.account, memory.id, caller.principal) as entry:
            now = entry.now
            found = _holding(await entry.find(ids), now)
            for change in params["records"]:
                id_ = change["memoryRecordId"]
                try:
                    record = _held(found, id_, change.get("sourceNamespaces", ()))
                    values = _changes(vetting, record, change, now) | _new_expiry(params, now)
                except InnkeeperError as error:
                    outcomes.append(Outcome(id_, None, error.status, error.message))
                    continue
                found[id_] = await entry.update(record, values, Action.UPDATE)
                outcomes.append(Outcome(id_))
        return outcomes

    async def delete(self, caller: Caller, params: Document) -> Sequence[Outcome]:
        """One outcome for each, in order. Raises NotFound for the memory."""
        memory = await self._memories.active(caller, params["memoryId"])
        ids = [one["memoryRecordId"] for one in params["records"]]
        outcomes, gone = [], []
        async with self._ledger.entry(memory.account, memory.id, caller.principal) as entry:
            found = _holding(await entry.find(ids), entry.now)
            for one in params["records"]:
                id_ = one["memoryRecordId"]
                try:
                    gone.append(_held(found, id_, [one["namespace"]] if "namespace" in one else ()))
                except NotFound as error:
                    outcomes.append(Outcome(id_, None, error.status, error.message))
                    continue
                del found[id_]
                outcomes.append(Outcome(id_))
            await entry.delete(gone)
        return outcomes

    async def get(self, caller: Caller, params: Document) -> Record:
        """Raises NotFound, also when it is not in the namespace that is named."""
        memory = await self._memories.active(caller, params["memoryId"])
        id_ = params["memoryRecordId"]
        async with self._database.begin() as connection:
            found = await store.find_records(connection, memory.account, memory.id, [id_], self._clock.now())
        return _held(found, id_, [params["namespace"]] if "namespace" in params else ())

    async def remove(self, caller: Caller, params: Document) -> None:
        """Raises NotFound."""
        memory = await self._memories.active(caller, params["memoryId"])
        id_ = params["memoryRecordId"]
        async with self._ledger.entry(memory.account, memory.id, caller.principal) as entry:
            found = _holding(await entry.find([id_]), entry.now)
            await entry.delete([_held(found, id_, [params["namespace"]] if "namespace" in params else ())])

    async def list(self, caller: Caller, params: Document, page: PageRequest) -> Page[Record]:
        """The newest first. Raises InvalidRequest, NotFound."""
        memory = await self._memories.active(caller, params["memoryId"])
        scope = Scope.of(params)
        filters = params.get("metadataFilters", [])
        metadata.check_filters(filters)
        cursor = _RECORDS.of(memory.account, memory.id, scope.path, str(scope.subtree))
        (before,) = cursor.after(page) or (None,)
        found: list[tuple[int, Record]] = []
        now, scan = self._clock.now(), _SCAN if filters else page.size + 1
        more, strategy = True, params.get("memoryStrategyId")
        while more and len(found) <= page.size:
            async with self._database.begin() as connection:
                rows = await store.list_records(
                    connection, memory.account, memory.id, scope, strategy, before, scan, now
                )
            found += [one for one in rows if metadata.matches(shown_metadata(one[1].metadata), filters)]
            more = len(rows) == scan
            before = rows[-1][0] if rows else before
        if not found and page.token is None:
            await self.check_scope(memory, scope)
        shown = cursor.page(page, found[: page.size + 1], key=lambda one: (one[0],))
        return Page([record for _, record in shown.items], shown.next_token)

    async def check_scope(self, memory: Memory, scope: Scope) -> None:
        """Before an empty answer. Raises InvalidRequest when it would only hide a mistake: when no strategy
        can put a record into exactly this namespace, and there are some below it."""
        if scope.subtree or not memory.strategies or may_hold_records(memory.strategies, scope.path):
            return
        async with self._database.begin() as connection:
            now = self._clock.now()
            if await store.any_namespace(connection, memory.account, memory.id, scope, now):
                return
            below = Scope(scope.path, subtree=True)
            other = await store.any_namespace(connection, memory.account, memory.id, below, now)
        if other is not None:
            raise invalid(
                "namespace",
                f"no record lies exactly in {scope.path}, but some lie below it, as in {other}: name that "
                f"namespace in full, or ask with namespacePath={scope.path} for all below",
            )

    async def learn(self, entry: Entry, record: Record, replaces: Sequence[str]) -> None:
        """Keep what was learned, in the caller's entry; learned again under the same id it is once.

        The records that it replaces are retired in its favour and stay as its history. Where one of them
        speaks of a later time, the new one is history already.
        """
        found = await entry.find([record.record_id, *replaces])
        present = found.pop(record.record_id, None)
        record, retired = succession(record, _holding(found, entry.now).values(), entry.now)
        if present is None:
            await entry.create([record])
        else:
            again = {name: getattr(record, name) for name in _LEARNED}
            await entry.update(present, again, Action.UPDATE)
            await entry.shorten(record.record_id)
        for one in retired:
            await entry.update(one, ended(one, record, entry.now), Action.RETIRE)

    async def confirm(self, entry: Entry, ids: Sequence[str], event_ids: Sequence[str]) -> None:
        """What these events say, the records say already: they have them as their sources too."""
        for record in _holding(await entry.find(ids), entry.now).values():
            sources = list(dict.fromkeys([*record.source_event_ids, *event_ids]))[:SOURCES_MAX]
            if sources != record.source_event_ids:
                values = {"source_event_ids": sources, "updated_at": entry.now}
                await entry.update(record, values, Action.UPDATE)

    async def find(self, memory: Memory, record_id: str) -> Record | None:
        """One that holds now."""
        async with self._database.begin() as connection:
            found = await store.find_records(
                connection, memory.account, memory.id, [record_id], self._clock.now()
            )
        return found.get(record_id)

    async def newest(
        self, memory: Memory, scope: Scope, limit: int, strategy: str | None = None
    ) -> Sequence[Record]:
        async with self._database.begin() as connection:
            rows = await store.list_records(
                connection, memory.account, memory.id, scope, strategy, None, limit, self._clock.now()
            )
        return [record for _, record in rows]

    async def replaced(self, memory: Memory, ids: Iterable[str]) -> Mapping[str, Sequence[Record]]:
        """By id, what it took the place of, the latest first; of the last few changes."""
        async with self._database.begin() as connection:
            return await store.replaced(connection, memory.account, memory.id, ids)

    async def history(self, memory: Memory, record_id: str) -> Sequence[Record]:
        """With all that it replaced and all that replaced it, the oldest first. Raises NotFound."""
        async with self._database.begin() as connection:
            found = await store.history(connection, memory.account, memory.id, record_id)
        if not found:
            raise NotFound(f"Memory record {record_id} does not exist")
        return found

    async def _vetting(self, caller: Caller, memory: Memory, items: Sequence[Document]) -> "_Vetting":
        policy = await self._vetter.policy(memory)
        trust = policy.trust_of(caller)
        texts = list(dict.fromkeys(one["content"].get("text", "") for one in items if "content" in one))
        judgements = await self._vetter.by_hand(texts, trust)
        return _Vetting(memory, policy, trust, dict(zip(texts, judgements, strict=True)))

    async def prune(self) -> None:
        """Let go of what has expired, and of what its history says of it."""
        now, expired = self._clock.now(), True
        while expired:
            async with self._database.begin() as connection:
                found = await store.expired_records(connection, now, _PIECE)
            expired = bool(found)
            for (account, memory), ids in found.items():
                async with self._ledger.entry(account, memory, _EXPIRY) as entry:
                    gone = [one for one in (await entry.find(ids)).values() if _is_past(one, now)]
                    await entry.delete(gone, Action.EXPIRE)
                    await entry.forget([one.record_id for one in gone])


@dataclass(frozen=True, slots=True)
class _Vetting:
    """What a request may write, and what was found in its texts."""

    memory: Memory
    policy: Policy
    trust: Trust
    judgements: Mapping[str, Judgement]

    def passed(self, record: Record) -> Record:
        """Raises AccessDenied, and what `_check` raises."""
        _check(self.memory, record)
        return vetted(self.policy, self.memory, record, self.judgements.get(record.text, Judgement(0.0)))


def _made(
    vetting: _Vetting, wanted: Document, id_: str, expiry: datetime | None, now: datetime
) -> tuple[Outcome, Record | None]:
    request = wanted["requestIdentifier"]
    record = Record(
        account=vetting.memory.account,
        memory=vetting.memory.id,
        record_id=id_,
        namespace=next(iter(wanted["namespaces"]), ""),
        strategy=wanted.get("memoryStrategyId", NO_STRATEGY),
        text=wanted["content"].get("text", ""),
        metadata=kept_metadata(wanted.get("metadata", {})),
        happened_at=wanted["timestamp"],
        created_at=now,
        updated_at=now,
        valid_from=wanted["timestamp"],
        expires_at=expiry,
        trust=vetting.trust,
    )
    try:
        return Outcome(id_, request), vetting.passed(record)
    except InnkeeperError as error:
        return Outcome(id_, request, error.status, error.message), None


def _check(memory: Memory, record: Record) -> None:
    strategy = memory.strategy(record.strategy)
    if strategy is None and record.strategy != NO_STRATEGY:
        raise NotFound(f"Memory strategy {record.strategy} does not exist in this memory")
    if "*" in record.namespace:
        raise invalid("namespaces", "wildcards (*) are not supported")
    check_text("content", record.text)
    metadata.check(memory, strategy, record.metadata)


def _changes(vetting: _Vetting, record: Record, change: Document, now: datetime) -> Document:
    """The columns that a change sets; a new text is the word of who writes it. Raises InvalidRequest,
    NotFound, AccessDenied."""
    values: Document = {"happened_at": change["timestamp"], "updated_at": now}
    if "content" in change:
        values["text"] = change["content"].get("text", "")
    if "namespaces" in change:
        values["namespace"] = next(iter(change["namespaces"]), "")
    if "memoryStrategyId" in change:
        values["strategy"] = change["memoryStrategyId"]
    if "metadata" in change:
        values["metadata"] = kept_metadata(change["metadata"])
    if "content" in change:
        after = vetting.passed(replace(record, **values, trust=vetting.trust))
        return {**values, "trust": after.trust, "status": after.status, "concerns": after.concerns}
    # Whoever may write there may move it there.
    vetting.passed(replace(record, **values, trust=vetting.trust))
    return values


def _holding(found: dict[str, Record], now: datetime) -> dict[str, Record]:
    return {id_: record for id_, record in found.items() if record.holds(now)}


def _is_past(record: Record, now: datetime) -> bool:
    return record.expires_at is not None and record.expires_at <= now


def _held(found: dict[str, Record], id_: str, namespaces: Sequence[str]) -> Record:
    """The record, in one of the namespaces if any is named. Raises NotFound."""
    record = found.get(id_)
    if record is None or (namespaces and record.namespace not in namespaces):
        place = f" in namespace {namespaces[0]}" if namespaces else ""
        raise NotFound(f"Memory record {id_} does not exist{place}")
    return record


def _expiry(params: Document, now: datetime) -> datetime | None:
    days = params.get("recordExpirySpecification", {}).get("recordExpiryDurationDays")
    try:
        return now + timedelta(days=days) if days else None
    except OverflowError:
        raise invalid("recordExpirySpecification", "the expiry is too far away to be a date") from None


def _new_expiry(params: Document, now: datetime) -> Document:
    return {"expires_at": _expiry(params, now)} if params.get("recordExpirySpecification") else {}


def _id_of(batch: str, number: int) -> str:
    """The id of a batch's record: the same when the batch is repeated."""
    return f"mem-{uuid.uuid5(uuid.UUID(batch.removeprefix('mem-')), str(number))}"
