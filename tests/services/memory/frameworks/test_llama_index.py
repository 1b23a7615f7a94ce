"""LlamaIndex's AgentCoreMemory, as it comes."""

from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.memory.bedrock_agentcore import AgentCoreMemory, AgentCoreMemoryContext

from tests.services.memory.frameworks.patience import eventually
from tests.services.memory.remembering import Remembering


def memory_of(memory: str, session: str = "first", actor: str = "ann") -> AgentCoreMemory:
    context = AgentCoreMemoryContext(
        actor_id=actor, memory_id=memory, session_id=session, namespace=f"/facts/{actor}/"
    )
    return AgentCoreMemory(context, region_name="us-west-2")


def says(role: MessageRole, text: str, **more: str) -> ChatMessage:
    return ChatMessage(role=role, content=text, additional_kwargs=more)


def test_a_chat_is_kept_in_order_and_comes_back_with_what_was_learned(
    memory: str, remembering: Remembering
) -> None:
    chat = memory_of(memory)
    chat.put(says(MessageRole.USER, "I drink tea."))
    # A call of a tool is an answer without a text.
    chat.put_messages([says(MessageRole.ASSISTANT, "", call="look"), says(MessageRole.TOOL, "milk")])
    chat.set([*chat.get_all(), says(MessageRole.ASSISTANT, "With milk, then.")])

    kept = memory_of(memory).get_all()
    assert [(one.role.value, one.content) for one in kept] == [
        ("user", "I drink tea."),
        ("assistant", ""),
        ("tool", "milk"),
        ("assistant", "With milk, then."),
    ]
    assert kept[1].additional_kwargs == {"call": "look"}

    remembering.note(memory, "/facts/ann/", "Ann drinks tea with milk.")
    remembering.note(memory, "/facts/bob/", "Bob drinks tea with lemon.")
    later = memory_of(memory, "second")
    later.put(says(MessageRole.USER, "What is in my tea?"))
    system = eventually(lambda: [one for one in later.get() if "milk" in str(one.content)])[0]
    assert system.role is MessageRole.SYSTEM
    assert "lemon" not in str(system.content)


def test_a_session_is_deleted_with_its_memories(memory: str, remembering: Remembering) -> None:
    chat = memory_of(memory)
    for number in range(25):
        chat.put(says(MessageRole.USER, f"message {number}"))
    memory_of(memory, "second").put(says(MessageRole.USER, "Stays."))
    assert set(chat.list_sessions(memory, "ann")) == {"first", "second"}
    (strategy,) = remembering.get(memory)["strategies"]
    remembering.note(
        memory,
        "/facts/ann/",
        *(f"fact {number}" for number in range(25)),
        memoryStrategyId=strategy["strategyId"],
    )
    gone = chat.delete_all_memory_for_session(memory, "ann", "first", "/facts/ann/", strategy["strategyId"])
    assert len(gone["deletedEvents"]) == 25
    assert len(gone["successfulDeletedMemoryRecords"]) == 25
    assert gone["failedDeletedMemoryRecords"] == []
    assert chat.list_raw_events(memory, "first", "ann") == []
    assert [one.content for one in memory_of(memory, "second").get_all()] == ["Stays."]
    assert remembering.noted(memory, namespacePath="/") == []
