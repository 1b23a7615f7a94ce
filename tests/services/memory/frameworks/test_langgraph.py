"""LangGraph's checkpoints of `langgraph-checkpoint-aws`, as it comes."""

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, interrupt
from langgraph_checkpoint_aws import AgentCoreMemorySaver
from langgraph_checkpoint_aws.checkpoint.agentcore.helpers import MAX_PAYLOAD_BYTES_PER_EVENT
from langgraph_checkpoint_aws.checkpoint.agentcore.models import ChannelDataEvent

both_formats = pytest.mark.parametrize("checkpoint_format", ["legacy", "snapshot"])

Graph = CompiledStateGraph[Any, Any, Any, Any]


class Conversation(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    picture: bytes


class Work(TypedDict):
    done: Annotated[list[str], operator.add]


def answer(state: Conversation) -> dict[str, Any]:
    heard = [str(message.content) for message in state["messages"] if message.type == "human"]
    return {"messages": [AIMessage(f"So far: {', '.join(heard)}")]}


@pytest.fixture
def saver(memory: str, checkpoint_format: Any) -> Callable[[], AgentCoreMemorySaver]:
    """A new saver each time, as another process has it."""
    return lambda: AgentCoreMemorySaver(memory, region_name="us-west-2", checkpoint_format=checkpoint_format)


def talkative(saver: AgentCoreMemorySaver) -> Graph:
    builder = StateGraph(Conversation)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=saver)


def thread(name: str = "first", actor: str = "ann") -> RunnableConfig:
    return {"configurable": {"thread_id": name, "actor_id": actor}}


def said(text: str) -> Any:
    return {"messages": [HumanMessage(text)]}


def last(state: Any) -> str:
    return str(state["messages"][-1].content)


@both_formats
def test_a_thread_goes_on_in_another_process_and_back_in_time(
    saver: Callable[[], AgentCoreMemorySaver],
) -> None:
    picture = bytes(range(256)) * 4096
    talkative(saver()).invoke({**said("one"), "picture": picture}, thread())
    graph = talkative(saver())
    assert last(graph.invoke(said("two"), thread())) == "So far: one, two"
    assert last(graph.invoke(said("three"), thread())) == "So far: one, two, three"
    assert graph.get_state(thread()).values["picture"] == picture
    assert last(graph.invoke(said("hello"), thread(actor="bob"))) == "So far: hello"
    assert last(graph.invoke(said("hello"), thread("second"))) == "So far: hello"

    states = list(graph.get_state_history(thread()))
    assert [state.metadata["step"] for state in states if state.metadata] == [7, 6, 5, 4, 3, 2, 1, 0, -1]
    assert len(list(graph.get_state_history(thread(), limit=2))) == 2
    (then,) = (state for state in states if not state.next and len(state.values["messages"]) == 4)
    assert last(graph.invoke(said("four"), then.config)) == "So far: one, two, four"
    assert last(graph.get_state(thread()).values) == "So far: one, two, four"
    assert last(graph.get_state(states[0].config).values) == "So far: one, two, three"


@both_formats
async def test_an_interrupted_run_is_resumed_with_what_was_written_before(
    saver: Callable[[], AgentCoreMemorySaver],
) -> None:
    runs: list[str] = []

    def quick(state: Work) -> dict[str, list[str]]:
        runs.append("quick")
        return {"done": ["quick"]}

    def asks(state: Work) -> dict[str, list[str]]:
        runs.append("asks")
        return {"done": [interrupt("which colour?")]}

    def graph() -> Graph:
        builder = StateGraph(Work)
        builder.add_node("quick", quick)
        builder.add_node("asks", asks)
        builder.add_edge(START, "quick")
        builder.add_edge(START, "asks")
        return builder.compile(checkpointer=saver())

    await graph().ainvoke({"done": []}, thread())
    waiting = await graph().aget_state(thread())
    assert [one.value for one in waiting.interrupts] == ["which colour?"]
    finished = await graph().ainvoke(Command(resume="blue"), thread())
    assert sorted(finished["done"]) == ["blue", "quick"]
    assert sorted(runs) == ["asks", "asks", "quick"]


@both_formats
async def test_a_deleted_thread_is_gone_and_others_stay(saver: Callable[[], AgentCoreMemorySaver]) -> None:
    graph = talkative(saver())
    for name in ("first", "second"):
        await graph.ainvoke(said("one"), thread(name))
    await saver().adelete_thread("first", "ann")
    assert [one async for one in graph.aget_state_history(thread())] == []
    assert last((await graph.aget_state(thread("second"))).values) == "So far: one"


def test_the_largest_pieces_in_which_a_state_is_sent_are_taken(memory: str) -> None:
    client = AgentCoreMemorySaver(memory, region_name="us-west-2").checkpoint_event_client

    def channel(name: str, size: int) -> ChannelDataEvent:
        return ChannelDataEvent(channel=name, version="1", value=bytes(size), thread_id="first")

    envelope = len(client.serializer.serialize_event(channel("a", 0)))
    size = (MAX_PAYLOAD_BYTES_PER_EVENT // 2 - envelope) // 4 * 3
    client.store_blob_events_batch([channel("a", size), channel("b", size)], "first", "ann")
    assert [len(one.value) for one in client.get_events("first", "ann")] == [size, size]
