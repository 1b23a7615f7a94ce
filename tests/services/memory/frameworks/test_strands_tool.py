"""The `agent_core_memory` tool of `strands-agents-tools`, as it comes, called as an agent calls it."""

import json
from typing import Any

from strands import Agent
from strands_tools.agent_core_memory import AgentCoreMemoryToolProvider

from tests.services.memory.frameworks.patience import eventually
from tests.services.memory.remembering import Remembering


def call(agent: Agent, action: str, **arguments: Any) -> str:
    """The text of the tool's result, without the words in front of its JSON."""
    result = agent.tool.agent_core_memory(action=action, record_direct_tool_call=False, **arguments)
    text: str = result["content"][0]["text"]
    assert result["status"] == "success", text
    return text.partition(": ")[2]


def test_an_agent_records_finds_lists_and_deletes(memory: str, remembering: Remembering) -> None:
    provider = AgentCoreMemoryToolProvider(
        memory_id=memory, actor_id="ann", session_id="first", namespace="/facts/ann/", region="us-west-2"
    )
    agent = Agent(tools=[*provider.tools], callback_handler=None)
    event = json.loads(call(agent, "record", content="Good morning!"))  # there is nothing to be learned of it
    assert event["sessionId"] == "first"
    assert remembering.heard(memory) == ["Good morning!"]

    tea, knitting = remembering.note(
        memory, "/facts/ann/", "Ann drinks tea with milk.", "Ann likes knitting."
    )

    def found() -> list[str]:
        records = json.loads(call(agent, "retrieve", query="What is in her tea?"))["memoryRecordSummaries"]
        return [one["memoryRecordId"] for one in records]

    assert eventually(lambda: both if set(both := found()) == {tea, knitting} else [])[0] == tea
    assert (
        json.loads(call(agent, "get", memory_record_id=tea))["content"]["text"] == "Ann drinks tea with milk."
    )
    assert call(agent, "delete", memory_record_id=tea) == tea
    (left,) = json.loads(call(agent, "list", max_results=5))["memoryRecordSummaries"]
    assert left["content"]["text"] == "Ann likes knitting."
