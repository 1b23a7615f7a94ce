"""Tenants, memories, actors, sessions and namespaces never see each other, whatever is done and when."""

import time
from collections import defaultdict
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.running import RunningServer
from tests.services.memory.remembering import Remembering

# Names that are alike: in case, as a path, as a pattern of LIKE, by their beginning.
ACTORS = ["ann", "Ann", "ann/1", "a_n", "annie"]
SESSIONS = ["s", "S", "s1"]
NAMESPACES = ["/p/ann/", "/p/ann", "/p/ann/1/", "/p/Ann/", "/p/a_n/", "/p/annie/"]
PATHS = ["/", "/p", "/p/ann", "/p/ann/", "/p/ann/1", "/p/Ann", "/p/a_n"]
ROOMS = st.integers(0, 2)
_PATIENCE_SECONDS = 60


def some(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)


class Room:
    """A memory, and what should be in it."""

    def __init__(self, server: RunningServer, keys: tuple[str, str]) -> None:
        self.keys = keys
        self.client = Remembering(server, keys)
        self.memory = self.client.create()
        self.events: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self.records: dict[str, tuple[str, str]] = {}

    def below(self, path: str) -> set[str]:
        """The texts of the records at and below a path."""
        base = path.rstrip("/")
        return {
            text
            for namespace, text in self.records.values()
            if namespace == base or namespace.startswith(f"{base}/")
        }

    def said(self, actor: str, session: str | None = None) -> set[str]:
        return {
            text
            for (whose, where), events in self.events.items()
            if whose == actor and session in (None, where)
            for text in events.values()
        }


class Rooms(RuleBasedStateMachine):
    """Two memories of one tenant, and one of another."""

    server: RunningServer

    @initialize()
    def furnish(self) -> None:
        first, second = self.server.new_tenant(), self.server.new_tenant()
        self.rooms = [Room(self.server, keys) for keys in (first, first, second)]
        self.texts = 0

    def _text(self) -> str:
        self.texts += 1
        return f"marker word{self.texts}x"

    @rule(room=ROOMS, actors=some(ACTORS), session=st.sampled_from(SESSIONS))
    def say(self, room: int, actors: list[str], session: str) -> None:
        there = self.rooms[room]
        for actor in actors:
            text = self._text()
            event = there.client.say(there.memory, text, actorId=actor, sessionId=session)
            there.events[actor, session][event["eventId"]] = text

    @rule(room=ROOMS, namespaces=some(NAMESPACES))
    def note(self, room: int, namespaces: list[str]) -> None:
        there = self.rooms[room]
        for namespace in namespaces:
            text = self._text()
            [record] = there.client.note(there.memory, namespace, text)
            there.records[record] = (namespace, text)

    @precondition(lambda self: any(room.records for room in self.rooms))
    @rule(data=st.data(), namespace=st.sampled_from(NAMESPACES))
    def move(self, data: st.DataObject, namespace: str) -> None:
        there, record = self._a_record(data)
        change = {"memoryRecordId": record, "namespaces": [namespace], "timestamp": "2026-01-01T00:00:00Z"}
        answer = there.client.data.batch_update_memory_records(memoryId=there.memory, records=[change])
        assert answer["failedRecords"] == []
        there.records[record] = (namespace, there.records[record][1])

    @precondition(lambda self: any(room.records for room in self.rooms))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        there, record = self._a_record(data)
        there.client.data.delete_memory_record(memoryId=there.memory, memoryRecordId=record)
        del there.records[record]

    @precondition(lambda self: any(any(room.events.values()) for room in self.rooms))
    @rule(data=st.data())
    def unsay(self, data: st.DataObject) -> None:
        there = data.draw(st.sampled_from([room for room in self.rooms if any(room.events.values())]))
        (actor, session), events = data.draw(st.sampled_from([one for one in there.events.items() if one[1]]))
        event = data.draw(st.sampled_from(list(events)))
        there.client.data.delete_event(memoryId=there.memory, actorId=actor, sessionId=session, eventId=event)
        del events[event]

    @rule(room=ROOMS, actor=st.sampled_from(ACTORS), session=st.none() | st.sampled_from(SESSIONS))
    def erase(self, room: int, actor: str, session: str | None) -> None:
        there = self.rooms[room]
        wanted = {"actor": actor, "session": session} if session else {"actor": actor}
        self.server.native("POST", f"/-/v1/memories/{there.memory}/erase", wanted, there.keys)
        for whose, where in list(there.events):
            if whose == actor and session in (None, where):
                del there.events[whose, where]

    @rule(data=st.data(), room=ROOMS)
    def pry(self, data: st.DataObject, room: int) -> None:
        """With another tenant's keys, or in another memory."""
        there = self.rooms[room]
        other = self.rooms[2 - room if room != 1 else 2]
        try:
            found = other.client.noted(there.memory, namespacePath="/")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceNotFoundException"
        else:
            raise AssertionError(f"another tenant was shown {found}")
        if there.records:
            record = data.draw(st.sampled_from(list(there.records)))
            try:
                other.client.data.get_memory_record(memoryId=other.memory, memoryRecordId=record)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ResourceNotFoundException"
            else:
                raise AssertionError("a record was shown in another memory")

    def teardown(self) -> None:
        for there in getattr(self, "rooms", ()):
            self._check_lists(there)
            for path in PATHS:
                listed = there.client.noted(there.memory, namespacePath=path, maxResults=100)
                assert set(listed) == there.below(path)
                self._await(there.below(path), lambda there=there, path=path: _recalled(there, path))
            for actor in ACTORS:
                for session in (None, *SESSIONS):
                    self._await(
                        there.said(actor, session),
                        lambda there=there, actor=actor, session=session: self._found(there, actor, session),
                    )

    def _check_lists(self, there: Room) -> None:
        for namespace in NAMESPACES:
            exact = {text for where, text in there.records.values() if where == namespace}
            assert set(there.client.noted(there.memory, namespace=namespace)) == exact
        for actor in ACTORS:
            for session in SESSIONS:
                heard = there.client.heard(there.memory, actor, session)
                assert sorted(heard) == sorted(there.said(actor, session))

    def _await(self, expected: set[str], look: Any) -> None:
        """The index follows within seconds; what does not belong there is never there."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while (found := look()) != expected:
            assert time.monotonic() < end, f"found {found - expected}, missed {expected - found}"
            time.sleep(0.1)

    def _found(self, there: Room, actor: str, session: str | None) -> set[str]:
        wanted = {"query": "marker", "actor": actor, "limit": 100} | ({"session": session} if session else {})
        path = f"/-/v1/memories/{there.memory}/search"
        return {one["text"] for one in self.server.native("POST", path, wanted, there.keys)["turns"]}

    def _a_record(self, data: st.DataObject) -> tuple[Room, str]:
        there = data.draw(st.sampled_from([room for room in self.rooms if room.records]))
        return there, data.draw(st.sampled_from(list(there.records)))


def _recalled(there: Room, path: str) -> set[str]:
    answer = there.client.data.retrieve_memory_records(
        memoryId=there.memory, namespacePath=path, searchCriteria={"searchQuery": "marker", "topK": 100}
    )
    return {one["content"]["text"] for one in answer["memoryRecordSummaries"]}


@pytest.mark.timeout(600)
def test_nothing_shows_where_it_does_not_belong(server: RunningServer) -> None:
    class RoomsOfServer(Rooms):
        pass

    RoomsOfServer.server = server
    run_state_machine_as_test(
        RoomsOfServer,
        settings=settings(
            max_examples=5,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
