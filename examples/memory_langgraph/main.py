"""A LangGraph graph whose threads and long-term memory lie in an AgentCore memory, without a language model.

The checkpointer keeps a thread for as long as events live, whatever becomes of the session; the store finds
what was learned from all threads of a person.
"""

import os
from typing import Annotated, Any, TypedDict
from uuid import uuid4

from bedrock_agentcore import BedrockAgentCoreApp, RequestContext
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.store.base import BaseStore
from langgraph_checkpoint_aws import AgentCoreMemorySaver, AgentCoreMemoryStore

app = BedrockAgentCoreApp()
memory = os.environ["MEMORY_ID"]


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def answer(state: State, config: RunnableConfig, *, store: BaseStore) -> dict[str, Any]:
    thread, person = config["configurable"]["thread_id"], config["configurable"]["actor_id"]
    heard = state["messages"][-1]
    known = store.search(("preferences", person), query=heard.text, limit=1)
    store.put((person, thread), str(uuid4()), {"message": heard})
    remembered = f", and you once told me: {known[0].value['content']}" if known else ""
    turns = sum(isinstance(message, HumanMessage) for message in state["messages"])
    return {"messages": [AIMessage(f"You have said {turns} things in this thread{remembered}")]}


builder = StateGraph(State)
builder.add_node("answer", answer)
builder.add_edge(START, "answer")
builder.add_edge("answer", END)
graph = builder.compile(
    checkpointer=AgentCoreMemorySaver(memory), store=AgentCoreMemoryStore(memory_id=memory)
)


@app.entrypoint
def invoke(payload: dict[str, Any], context: RequestContext) -> dict[str, str]:
    thread = payload.get("thread") or context.session_id or "local"
    config: RunnableConfig = {
        "configurable": {"thread_id": thread, "actor_id": payload.get("person", "somebody")}
    }
    state = graph.invoke({"messages": [HumanMessage(payload.get("prompt", "Hello"))]}, config)
    return {"answer": state["messages"][-1].text}


if __name__ == "__main__":
    app.run()
