"""Tokens of pages: each leads on through its own list, and every other is refused."""

import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

from innkeeper.kernel.errors import InvalidRequest
from innkeeper.kernel.page import Cursor, PageRequest, fitting
from tests.running import RunningServer
from tests.services.memory.remembering import Remembering

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SESSIONS = Cursor("sessions", datetime, str, int)


def token(*words: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(words).encode()).decode()


def test_a_token_leads_to_where_the_page_ended() -> None:
    rows = [(NOON + timedelta(minutes=number), f"é{number}", number) for number in range(3)]
    asked = PageRequest(2)
    assert SESSIONS.after(asked) is None
    page = SESSIONS.page(asked, rows, key=lambda row: row)
    assert page.items == rows[:2]
    assert SESSIONS.after(PageRequest(2, page.next_token)) == rows[1]
    assert SESSIONS.page(asked, rows[1:], key=lambda row: row).next_token is None
    assert SESSIONS.page(asked, rows[1:], key=lambda row: row, room=1).items == rows[1:2]


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "[]",
        token(),
        token("sessions"),
        token("sessions", 1, "a", 1),
        token("events", NOON.isoformat(), "a", "1"),
        token("sessions", NOON.isoformat(), "a", "1", "b"),
        token("sessions", NOON.replace(tzinfo=None).isoformat(), "a", "1"),
        token("sessions", "yesterday", "a", "1"),
        token("sessions", NOON.isoformat(), "a\0", "1"),
        token("sessions", NOON.isoformat(), "\ud800", "1"),
        token("sessions", NOON.isoformat(), "a", "-1"),
        token("sessions", NOON.isoformat(), "a", "1" + "0" * 19),
        token("sessions", NOON.isoformat(), "a", "1" * 5000),
        base64.urlsafe_b64encode(b"[" * 200_000).decode(),
    ],
    ids=range(16),
)
def test_every_other_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="nextToken is not one that this operation gave out"):
        SESSIONS.after(PageRequest(2, token))


def test_the_token_of_another_parent_is_refused() -> None:
    rows = [(NOON, f"s{number}", number) for number in range(3)]
    own = SESSIONS.of("123456789012", "ann")
    token = own.page(PageRequest(1), rows, key=lambda row: row).next_token
    assert SESSIONS.of("123456789012", "ann").after(PageRequest(1, token)) == rows[0]
    for other in (SESSIONS, SESSIONS.of("123456789012", "bob"), SESSIONS.of("123456789012ann")):
        with pytest.raises(InvalidRequest, match="nextToken is not one"):
            other.after(PageRequest(1, token))


def test_as_many_fit_as_there_is_room_for() -> None:
    assert fitting([3, 3, 3], 6) == 2
    assert fitting([9, 1], 6) == 1
    assert fitting([], 6) == 0


def test_no_operation_takes_the_token_of_another(server: RunningServer) -> None:
    """Over several services, as boto3 and programs see it."""
    control, data = server.client("bedrock-agentcore-control"), server.client("bedrock-agentcore")
    memories = [
        control.create_memory(name=f"paged{number}", eventExpiryDuration=30)["memory"]["id"]
        for number in range(2)
    ]
    foreign = control.list_memories(maxResults=1)["nextToken"]
    session = {"memoryId": memories[0], "actorId": "ann", "sessionId": "first"}
    system = {"codeInterpreterIdentifier": "aws.codeinterpreter.v1"}
    query = {"memoryId": memories[0], "namespace": "/", "searchCriteria": {"searchQuery": "tea"}}
    for operation, wanted in (
        (control.list_agent_runtimes, {}),
        (control.list_code_interpreters, {}),
        (data.list_code_interpreter_sessions, system),
        (data.list_events, session),
        (data.list_actors, {"memoryId": memories[0]}),
        (data.retrieve_memory_records, query),
        (data.list_memory_extraction_jobs, {"memoryId": memories[0]}),
    ):
        for other in (foreign, "x"):
            with pytest.raises(ClientError, match=r"ValidationException.*nextToken is not one"):
                operation(**wanted, nextToken=other)
    assert control.list_memories(nextToken=foreign)["memories"]
    _refuse_tokens_of_other_parents(server, *memories)
    for path in ("sandboxes", "snapshots", "templates", f"memories/{memories[0]}/changes"):
        with pytest.raises(HTTPError, match="400"):
            server.native("GET", f"/-/v1/{path}?nextToken={foreign}")
    with pytest.raises(ClientError, match="ValidationError"):
        server.client("iam").list_roles(Marker=foreign)
    for memory in memories:
        control.delete_memory(memoryId=memory)


def _refuse_tokens_of_other_parents(server: RunningServer, memory: str, other: str) -> None:
    remembering = Remembering(server)
    for session in ("first", "second"):
        for actor in ("ann", "bob"):
            for text in ("tea", "cocoa"):
                remembering.say(memory, text, actorId=actor, sessionId=session)
    remembering.note(memory, "/ann/", "She drinks tea.", "She drinks cocoa.")
    data = remembering.data
    ann = {"memoryId": memory, "actorId": "ann"}
    for operation, own, others in (
        (
            data.list_events,
            {**ann, "sessionId": "first"},
            [{"sessionId": "second"}, {"actorId": "bob"}, {"memoryId": other}],
        ),
        (data.list_sessions, ann, [{"actorId": "bob"}, {"memoryId": other}]),
        (data.list_actors, {"memoryId": memory}, [{"memoryId": other}]),
        (
            data.list_memory_records,
            {"memoryId": memory, "namespace": "/ann/"},
            [{"namespace": "/bob/"}, {"memoryId": other}],
        ),
    ):
        token = operation(**own, maxResults=1)["nextToken"]
        assert operation(**own, nextToken=token)["ResponseMetadata"]["HTTPStatusCode"] == 200
        for changed in others:
            with pytest.raises(ClientError, match=r"ValidationException.*nextToken is not one"):
                operation(**{**own, **changed}, nextToken=token)
