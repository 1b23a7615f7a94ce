"""The SDK's `MemorySessionManager`, as it comes: turns, branches, and what is learned."""

from typing import Any

from bedrock_agentcore.memory.constants import (
    BlobMessage,
    ConversationalMessage,
    MessageRole,
    RetrievalConfig,
)
from bedrock_agentcore.memory.session import MemorySession, MemorySessionManager

from tests.services.memory.frameworks.patience import eventually

FACTS = "/facts/{actorId}/"


def session_of(memory: str, name: str) -> MemorySession:
    return MemorySessionManager(memory, region_name="us-west-2").create_memory_session("ann", name)


def user(text: str) -> ConversationalMessage:
    return ConversationalMessage(text, MessageRole.USER)


def assistant(text: str) -> ConversationalMessage:
    return ConversationalMessage(text, MessageRole.ASSISTANT)


def texts(turns: Any) -> list[list[str]]:
    return [[message["content"]["text"] for message in turn] for turn in turns]


def test_turns_branches_and_sessions(memory: str) -> None:
    session = session_of(memory, "first")
    root = session.add_turns(
        [user("My cat is called Tom."), BlobMessage({"photo": [1, 2]}), assistant("Hello, Tom.")]
    )
    session.add_turns([user("He is grey."), assistant("I see.")])
    session.fork_conversation([user("He is black."), assistant("Oh.")], root["eventId"], "other")

    assert texts(session.get_last_k_turns(k=1)) == [["He is black.", "Oh."]]
    assert [(one["name"], one.get("rootEventId")) for one in session.list_branches()] == [
        ("main", None),
        ("other", root["eventId"]),
    ]
    other = session.list_events(branch_name="other", include_parent_branches=True)
    assert len(other) == 2
    assert session.get_event(root["eventId"])["payload"][1] == {"blob": {"photo": [1, 2]}}
    session.delete_event(other[0]["eventId"])
    assert len(session.list_events()) == 2
    assert [one["actorId"] for one in session.list_actors()] == ["ann"]
    session_of(memory, "second").add_turns([user("Good day.")])
    assert {one["sessionId"] for one in session.get_actor().list_sessions()} == {"first", "second"}


def test_a_turn_with_a_model_is_told_what_is_known_and_kept(memory: str) -> None:
    told: list[list[str]] = []

    def model(asked: str, memories: list[dict[str, Any]]) -> str:
        told.append([one["content"]["text"] for one in memories])
        return f"You asked: {asked}"

    wanted = {FACTS: RetrievalConfig(top_k=5)}
    session = session_of(memory, "first")
    _, answer, event = session.process_turn_with_llm("My cat is called Tom.", model, wanted)
    assert (answer, told) == ("You asked: My cat is called Tom.", [[]])
    assert session.get_event(event["eventId"])["payload"][1]["conversational"]["role"] == "ASSISTANT"

    later = session_of(memory, "second")
    eventually(lambda: later.search_long_term_memories("What is my cat called?", namespace="/facts/ann/"))
    later.process_turn_with_llm("What is my cat called?", model, wanted)
    assert any("Tom" in text for text in told[-1])

    (known, *_) = later.list_long_term_memory_records(namespace_path="/facts/")
    assert later.get_memory_record(known["memoryRecordId"])["content"] == known["content"]
    manager = MemorySessionManager(memory, region_name="us-west-2")
    assert manager.delete_all_long_term_memories_in_namespace("/facts/ann/")["failedRecords"] == []
    assert later.list_long_term_memory_records(namespace="/facts/ann/") == []
