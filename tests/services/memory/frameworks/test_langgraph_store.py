"""LangGraph's store of `langgraph-checkpoint-aws`, as it comes."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph_checkpoint_aws import AgentCoreMemoryStore

from tests.services.memory.frameworks.patience import eventually
from tests.services.memory.remembering import Remembering

ANN = ("facts", "ann")


@pytest.fixture
def store(memory: str) -> AgentCoreMemoryStore:
    return AgentCoreMemoryStore(memory_id=memory, region_name="us-west-2")


def test_messages_are_put_and_facts_are_found(
    store: AgentCoreMemoryStore, memory: str, remembering: Remembering
) -> None:
    store.put(("ann", "first"), "1", {"message": HumanMessage("I take the train to work.")})
    store.put(("ann", "first"), "2", {"message": AIMessage("Noted.")})
    assert remembering.heard(memory) == ["Noted.", "I take the train to work."]

    remembering.note(memory, "/facts/ann/", "Ann drinks tea with milk.", "Ann has a dog.")
    remembering.note(memory, "/facts/bob/", "Bob drinks tea with lemon.")

    def everyone() -> bool:
        found = {item.value["content"] for item in store.search(("facts",), query="tea", limit=10)}
        return found >= {"Ann drinks tea with milk.", "Ann has a dog.", "Bob drinks tea with lemon."}

    eventually(everyone)
    best = store.search(ANN, query="What is in her tea?")[0]
    assert best.value["content"] == "Ann drinks tea with milk."
    assert best.score is not None
    assert 0 < best.score <= 1
    assert len(store.search(ANN, query="tea", limit=1)) == 1
    assert store.search(("facts", "an"), query="tea") == []

    item = store.get(ANN, best.key)
    assert item is not None
    assert item.value["content"] == "Ann drinks tea with milk."
    assert store.get(ANN, "mem-00000000-0000-0000-0000-000000000000") is None


async def test_the_same_without_blocking(
    store: AgentCoreMemoryStore, memory: str, remembering: Remembering
) -> None:
    await store.aput(("ann", "first"), "1", {"message": HumanMessage("Hello.")})
    assert remembering.heard(memory) == ["Hello."]
    assert await store.asearch(ANN, query="Who is she?") == []
