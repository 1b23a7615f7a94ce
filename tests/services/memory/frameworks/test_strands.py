"""Strands with the SDK's session manager and memory store, as they come, and its default model of Bedrock."""

from typing import Any

from bedrock_agentcore.memory.integrations.strands.config import AgentCoreMemoryConfig, RetrievalConfig
from bedrock_agentcore.memory.integrations.strands.session_manager import AgentCoreMemorySessionManager
from strands import Agent

from tests.running import RunningServer, new_session
from tests.services.memory.frameworks.patience import eventually
from tests.services.memory.remembering import Remembering

REMEMBERED = {"/facts/{actorId}/": RetrievalConfig(top_k=3, relevance_score=0.1)}


def agent_with(memory: str, session: str, **members: Any) -> Agent:
    """An agent as a new process has it."""
    config = AgentCoreMemoryConfig(memory_id=memory, actor_id="ann", session_id=session, **members)
    manager = AgentCoreMemorySessionManager(config, region_name="us-west-2")
    return Agent(session_manager=manager, callback_handler=None)


def test_a_conversation_goes_on_in_another_process(memory: str, server: RunningServer) -> None:
    agent_with(memory, "first")("I take my tea with milk.")
    answer = str(agent_with(memory, "first")("What did I say?")).strip()
    assert answer == "You said: I take my tea with milk.; What did I say?"
    assert str(agent_with(memory, "second")("Hello.")).strip() == "You said: Hello."

    # The words are found as they were said, not as the session manager wraps them.
    def heard() -> set[tuple[str, str]]:
        found = server.native("POST", f"/-/v1/memories/{memory}/search", {"query": "tea with milk"})
        return {(turn["role"], turn["text"]) for turn in found["turns"]}

    assert ("USER", "I take my tea with milk.") in eventually(heard)


def test_what_is_known_of_the_user_is_told_to_the_model(memory: str, remembering: Remembering) -> None:
    remembering.note(memory, "/facts/ann/", "Ann drinks tea with milk.")

    def told() -> bool:
        question = "What is in my tea?"
        answer = str(agent_with(memory, new_session(), retrieval_config=REMEMBERED)(question))
        return "<user_context>Ann drinks tea with milk.</user_context>" in answer

    eventually(told)
