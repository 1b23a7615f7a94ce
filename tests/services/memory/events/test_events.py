"""Events: kept whole, in order and once; on branches; found by metadata; deleted; nobody else's."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import RunningServer
from tests.services.memory.remembering import NOON, Remembering, text_of

AT = {"actorId": "ann", "sessionId": "first"}


@pytest.fixture
def memory(remembering: Remembering) -> str:
    return remembering.create()


def metadata(**pairs: str) -> dict[str, Any]:
    return {key: {"stringValue": value} for key, value in pairs.items()}


def where(key: str, operator: str, value: str | None = None) -> dict[str, Any]:
    expression: dict[str, Any] = {"left": {"metadataKey": key}, "operator": operator}
    if value is not None:
        expression["right"] = {"metadataValue": {"stringValue": value}}
    return expression


def test_an_event_is_kept_whole(remembering: Remembering, memory: str) -> None:
    payload = [
        {"conversational": {"role": "USER", "content": {"text": "两杯茶, please \U0001f375"}}},
        {"blob": {"state": [1, 2.5, None, {"deep": True}]}},
        {"json": {"content": "text alone"}},
    ]
    made = remembering.data.create_event(
        memoryId=memory, **AT, eventTimestamp=NOON, payload=payload, metadata=metadata(place="bar")
    )["event"]
    assert made["eventId"].partition("#")[0] == f"{int(NOON.timestamp() * 1000):019d}"
    kept = remembering.data.get_event(memoryId=memory, **AT, eventId=made["eventId"])["event"]
    assert kept == made
    assert (kept["payload"], kept["metadata"], kept["eventTimestamp"]) == (
        payload,
        metadata(place="bar"),
        NOON,
    )
    named_by_arn = remembering.get(memory)["arn"]
    listed = remembering.data.list_events(memoryId=named_by_arn, **AT, includePayloads=False)["events"]
    assert [(one["eventId"], one["payload"]) for one in listed] == [(made["eventId"], [])]
    for here, elsewhere in (("us-west-2", "eu-west-1"), (":memory/", ":gateway/")):
        with pytest.raises(ClientError, match=r"ResourceNotFound|ValidationException"):
            remembering.say(named_by_arn.replace(here, elsewhere), "elsewhere")


def test_the_newest_comes_first_and_pages_miss_nothing(remembering: Remembering, memory: str) -> None:
    for number, minutes in enumerate([3, 1, 2, 2, 2]):
        remembering.say(memory, f"{number}", eventTimestamp=NOON + timedelta(minutes=minutes))
    pages = remembering.data.get_paginator("list_events").paginate(
        memoryId=memory, **AT, PaginationConfig={"PageSize": 2}
    )
    texts = [[text_of(one) for one in page["events"]] for page in pages]
    assert texts == [["0", "4"], ["3", "2"], ["1"]]


def test_large_events_come_in_pages_that_fit(
    remembering: Remembering, memory: str, server: RunningServer
) -> None:
    """Beside ones that are small, and one that is larger than a page by itself."""
    texts = [f"{number}" + "x" * size for number, size in enumerate([1, 4_000_000, 4_000_000, 4_000_000, 1])]
    for text in texts:
        blob = {"blob": {"much": text}}
        remembering.data.create_event(memoryId=memory, **AT, eventTimestamp=NOON, payload=[blob])

    def pages(**members: Any) -> list[list[str]]:
        asked = remembering.data.get_paginator("list_events").paginate(memoryId=memory, **AT, **members)
        return [[one["payload"][0]["blob"]["much"][0] for one in page["events"]] for page in asked]

    assert pages() == [["4", "3", "2"], ["1", "0"]]
    assert pages(PaginationConfig={"PageSize": 1}) == [["4"], ["3"], ["2"], ["1"], ["0"]]
    whole = server.native("GET", f"/-/v1/memories/{memory}/export").splitlines()
    assert [json.loads(line)["event"]["payload"][0]["blob"]["much"] for line in whole] == texts


def test_a_repeat_under_the_same_token_is_the_same_event(remembering: Remembering, memory: str) -> None:
    def say(_: int) -> str:
        return str(remembering.say(memory, "once", clientToken="one-and-the-same")["eventId"])

    with ThreadPoolExecutor(8) as crowd:
        assert len(set(crowd.map(say, range(24)))) == 1
    assert remembering.heard(memory) == ["once"]
    remembering.say(memory, "another's", actorId="bob", clientToken="one-and-the-same")
    assert remembering.heard(memory, "bob") == ["another's"]


def test_one_that_fails_fails_alone(remembering: Remembering, memory: str) -> None:
    def say(number: int) -> str:
        branch: Any = {"branch": {"name": "nowhere"}} if number % 3 == 0 else {}
        try:
            return str(remembering.say(memory, str(number), **branch)["eventId"])
        except remembering.data.exceptions.ValidationException as error:
            assert "name the event that it begins at" in str(error)
            return ""

    with ThreadPoolExecutor(8) as crowd:
        made = list(crowd.map(say, range(30)))
    assert made.count("") == 10
    assert len(set(made)) == 21
    assert len(remembering.heard(memory, maxResults=100)) == 20


def test_branches_fork_a_session(remembering: Remembering, memory: str) -> None:
    def say(text: str, minute: int, **branch: Any) -> str:
        wanted: Any = {"branch": branch} if branch else {}
        at = NOON + timedelta(minutes=minute)
        return str(remembering.say(memory, text, eventTimestamp=at, **wanted)["eventId"])

    say("a", 0)
    root = say("b", 1)
    say("c", 2)
    inner_root = say("b1", 3, name="left", rootEventId=root)
    say("b2", 4, name="left")
    say("b1x", 5, name="inner", rootEventId=inner_root)

    def along(name: str, parents: bool) -> list[str]:
        return remembering.heard(memory, filter={"branch": {"name": name, "includeParentBranches": parents}})

    assert along("left", parents=False) == ["b2", "b1"]
    assert along("left", parents=True) == ["b2", "b1", "b", "a"]
    assert along("inner", parents=True) == ["b1x", "b1", "b", "a"]
    assert along("main", parents=False) == ["c", "b", "a"]
    assert along("unheard-of", parents=True) == []
    assert len(remembering.heard(memory)) == 6
    shown = remembering.data.list_events(memoryId=memory, **AT)["events"]
    assert shown[1]["branch"] == {"name": "left", "rootEventId": root}
    for branch in (
        {"name": "right"},
        {"name": "right", "rootEventId": "1#ff"},
        {"name": "left", "rootEventId": "1#f"},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            remembering.say(memory, "no", branch=branch)


def test_events_are_found_by_their_metadata(remembering: Remembering, memory: str) -> None:
    remembering.say(memory, "tea", metadata=metadata(drink="tea", hot="yes"))
    remembering.say(memory, "juice", metadata=metadata(drink="juice"))
    remembering.say(memory, "bread")

    def found(*filters: Any) -> list[str]:
        return remembering.heard(memory, filter={"eventMetadata": list(filters)})

    assert found(where("drink", "EQUALS_TO", "tea")) == ["tea"]
    assert found(where("drink", "EXISTS")) == ["juice", "tea"]
    assert found(where("drink", "NOT_EXISTS")) == ["bread"]
    assert found(where("drink", "EXISTS"), where("hot", "NOT_EXISTS")) == ["juice"]
    with pytest.raises(ClientError, match="needs right"):
        found(where("drink", "EQUALS_TO"))


def test_sessions_and_actors_appear_with_their_events(remembering: Remembering, memory: str) -> None:
    event = remembering.say(memory, "hello", sessionId="short")
    remembering.say(memory, "hello", actorId="team/bob:2", sessionId="long")
    without_name = remembering.data.create_event(
        memoryId=memory, actorId="ann", eventTimestamp=NOON, payload=[]
    )["event"]["sessionId"]
    actors = remembering.data.list_actors(memoryId=memory)["actorSummaries"]
    assert [one["actorId"] for one in actors] == ["ann", "team/bob:2"]
    assert remembering.heard(memory, "team/bob:2", "long") == ["hello"]

    def sessions(**members: Any) -> set[str]:
        answer = remembering.data.list_sessions(memoryId=memory, actorId="ann", **members)
        return {one["sessionId"] for one in answer["sessionSummaries"]}

    remembering.data.delete_event(memoryId=memory, actorId="ann", sessionId="short", eventId=event["eventId"])
    assert sessions() == {"short", without_name}
    assert sessions(filter={"eventFilter": "HAS_EVENTS"}) == {without_name}


def test_what_is_ingested_is_no_event_of_the_conversation(remembering: Remembering, memory: str) -> None:
    text = {"conversational": {"role": "USER", "content": {"text": "from a file"}}}
    wanted = {"source": {"inline": {"payload": [text]}}, "contentTimestamp": NOON, "actorId": "ann"}
    session = remembering.data.ingest_data(memoryId=memory, **wanted)["sessionId"]
    assert remembering.heard(memory, session=session) == []


def test_what_cannot_be_kept_is_refused(remembering: Remembering, memory: str) -> None:
    with pytest.raises(ClientError, match="NUL"):
        remembering.say(memory, "a\0b")
    with pytest.raises(ClientError, match="main is the session itself"):
        remembering.say(memory, "a", branch={"name": "main", "rootEventId": "1#ff"})


def test_a_stranger_finds_nothing(server: RunningServer, remembering: Remembering, memory: str) -> None:
    event = remembering.say(memory, "secret")["eventId"]
    stranger = Remembering(server, server.new_tenant())
    arn = remembering.get(memory)["arn"]
    calls: list[Callable[[str], Any]] = [
        lambda name: stranger.say(name, "x"),
        lambda name: stranger.heard(name),
        lambda name: stranger.data.list_actors(memoryId=name),
        lambda name: stranger.data.list_sessions(memoryId=name, actorId="ann"),
        lambda name: stranger.data.get_event(memoryId=name, **AT, eventId=event),
        lambda name: stranger.data.delete_event(memoryId=name, **AT, eventId=event),
    ]
    for call in calls:
        for name in (memory, arn):
            with pytest.raises(ClientError, match="ResourceNotFoundException"):
                call(name)
    for other in ({"actorId": "bob", "sessionId": "first"}, {"actorId": "ann", "sessionId": "second"}):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            remembering.data.get_event(memoryId=memory, **other, eventId=event)
    assert remembering.heard(memory) == ["secret"]


def test_what_was_acknowledged_outlives_a_crash(
    server: RunningServer, remembering: Remembering, memory: str
) -> None:
    words = [uuid.uuid4().hex for _ in range(20)]
    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(lambda word: remembering.say(memory, word), words))
    server.kill()
    server.start()
    assert sorted(Remembering(server).heard(memory, maxResults=100)) == sorted(words)
