"""What has expired is not shown any more, and goes with the next pruning; as do sessions left empty."""

from datetime import timedelta
from typing import Any

import pytest

from innkeeper.engines.embedders.minilm import MiniLm
from innkeeper.engines.search.sqlite.driver import SqliteSearch
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.engines.vetting.rules.driver import RuleVetting
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import InvalidRequest, NotFound
from innkeeper.kernel.page import PageRequest
from innkeeper.services.account.service import Accounts
from innkeeper.services.memory import store
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.contents import Contents
from innkeeper.services.memory.erasure import Erasure
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.model import Limits
from innkeeper.services.memory.recall.index import Index
from innkeeper.services.memory.recall.vectors import Vectors
from innkeeper.services.memory.records.service import Records
from innkeeper.services.memory.safety.ledger import Ledger
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.sealing.keyring import with_keys
from innkeeper.services.memory.service import Memories
from innkeeper.services.resource_policy.service import ResourcePolicies
from innkeeper.services.tags.service import Tags
from tests.clock import SettableClock

ANN = Caller("123456789012", "arn:aws:iam::123456789012:root", "us-west-2")
DAY = timedelta(days=1).total_seconds()


class Desk:
    def __init__(self, database: Database, folder: Any) -> None:
        self.clock = SettableClock()
        limits = Limits(
            memories=5,
            strategies=6,
            event_bytes=1000,
            page_bytes=1000,
            queued_events=10,
            write_seconds=60,
            learn_after_seconds=0.3,
        )
        vault = LocalVault(folder / "master.key")
        database = self.database = with_keys(database, vault)
        accounts, bell = Accounts(database, vault, self.clock), Bell()
        ledger = Ledger(database, bell, self.clock)
        tags, policies = Tags(database, {}), ResourcePolicies(database, {}, self.clock)
        search = SqliteSearch(folder / "search")
        index = Index(database, search, Vectors(database, search, MiniLm(folder)), bell)
        erasure = Erasure(database, ledger, index)
        self.memories = Memories(database, accounts, tags, policies, erasure, limits, self.clock)
        self.events = Events(database, self.memories, limits, bell, self.clock)
        vetter = Vetter(database, RuleVetting(), self.clock)
        self.records = Records(database, ledger, vetter, self.memories, self.clock)
        self.contents = Contents(database, 1000)

    async def say(self, memory: str, session: str, text: str = "hello") -> None:
        payload = [{"conversational": {"role": "USER", "content": {"text": text}}}]
        wanted = {"memoryId": memory, "actorId": "ann", "sessionId": session, "payload": payload}
        await self.events.create(ANN, {**wanted, "eventTimestamp": self.clock.now()})

    async def heard(self, memory: str, session: str) -> int:
        wanted = {"memoryId": memory, "actorId": "ann", "sessionId": session}
        return len((await self.events.list(ANN, wanted, PageRequest())).items)


@pytest.fixture
def desk(database: Database, tmp_path: Any) -> Desk:
    return Desk(database, tmp_path)


async def test_the_expired_goes(desk: Desk) -> None:
    made = await desk.memories.create(ANN, {"name": "short", "eventExpiryDuration": 3})
    await desk.say(made.id, "old")
    await desk.memories.update(ANN, {"memoryId": made.id, "eventExpiryDuration": 30})
    await desk.say(made.id, "new")  # what was written before keeps its time
    record = {
        "requestIdentifier": "r",
        "namespaces": ["/a"],
        "content": {"text": "x"},
        "timestamp": desk.clock.now(),
    }
    batch = {"memoryId": made.id, "records": [record]}
    await desk.records.create(ANN, batch)
    await desk.records.create(ANN, {**batch, "recordExpirySpecification": {"recordExpiryDurationDays": 31}})

    desk.clock.pass_time(3 * DAY + 1)
    assert (await desk.heard(made.id, "old"), await desk.heard(made.id, "new")) == (0, 1)
    await desk.events.prune()
    assert await desk.contents.counts(made) == {
        "sessions": 1,
        "events": 1,
        "turns": 1,
        "records": 2,
        "blocks": 0,
        "documents": 0,
    }

    desk.clock.pass_time(28 * DAY)
    everything = {"memoryId": made.id, "namespacePath": "/"}
    assert len((await desk.records.list(ANN, everything, PageRequest())).items) == 1
    await desk.events.prune()
    await desk.records.prune()
    assert await desk.contents.counts(made) == {
        "sessions": 0,
        "events": 0,
        "turns": 0,
        "records": 1,
        "blocks": 0,
        "documents": 0,
    }


async def test_an_event_has_a_size(desk: Desk) -> None:
    made = await desk.memories.create(ANN, {"name": "small", "eventExpiryDuration": 3})
    wanted = {"memoryId": made.id, "actorId": "ann", "eventTimestamp": desk.clock.now()}
    with pytest.raises(Exception, match="at most 1000 bytes"):
        await desk.events.create(ANN, {**wanted, "payload": [{"blob": "x" * 1000}]})


async def test_a_deletion_that_a_crash_cut_off_is_finished(desk: Desk, database: Database) -> None:
    made = await desk.memories.create(ANN, {"name": "going", "eventExpiryDuration": 3})
    await desk.say(made.id, "old")
    async with database.begin() as connection:
        await store.mark_deleting(connection, made.account, made.id, desk.clock.now())
    with pytest.raises(NotFound, match="does not exist"):
        await desk.say(made.id, "too late")
    await desk.memories.finish_deletions()
    assert sum((await desk.contents.counts(made)).values()) == 0
    with pytest.raises(NotFound):
        await desk.memories.get(ANN, made.id)


async def test_a_token_of_another_list_is_refused(desk: Desk) -> None:
    made = await desk.memories.create(ANN, {"name": "one", "eventExpiryDuration": 3})
    session = {"memoryId": made.id, "actorId": "ann", "sessionId": "a", "namespacePath": "/"}
    for number in range(2):
        await desk.memories.create(ANN, {"name": f"another{number}", "eventExpiryDuration": 3})
    of_memories = (await desk.memories.list(ANN, PageRequest(1))).next_token
    for token in (of_memories, "x", "W10", "W" * 200_001):
        foreign = PageRequest(token=token)
        for call in (
            desk.events.list(ANN, session, foreign),
            desk.events.sessions(ANN, session, foreign),
            desk.records.list(ANN, session, foreign),
        ):
            with pytest.raises(InvalidRequest, match="nextToken"):
                await call
