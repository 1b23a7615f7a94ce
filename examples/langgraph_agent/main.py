"""A LangGraph graph without a language model: adds numbers or echoes, and keeps a history."""

import operator
import re
from typing import Annotated, Any, TypedDict

from bedrock_agentcore import BedrockAgentCoreApp, RequestContext
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

app = BedrockAgentCoreApp()


class State(TypedDict):
    prompt: str
    answer: str
    history: Annotated[list[str], operator.add]


def route(state: State) -> str:
    return "add" if re.search(r"\d+\s*\+\s*\d+", state["prompt"]) else "echo"


def add(state: State) -> dict[str, Any]:
    total = sum(int(number) for number in re.findall(r"\d+", state["prompt"]))
    return {"answer": f"The sum is {total}", "history": [state["prompt"]]}


def echo(state: State) -> dict[str, Any]:
    return {"answer": f"You said: {state['prompt']}", "history": [state["prompt"]]}


builder = StateGraph(State)
builder.add_node("add", add)
builder.add_node("echo", echo)
builder.add_conditional_edges(START, route, ["add", "echo"])
builder.add_edge("add", END)
builder.add_edge("echo", END)
graph = builder.compile(checkpointer=InMemorySaver())


@app.entrypoint
def invoke(payload: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    thread = {"configurable": {"thread_id": context.session_id or "local"}}
    state = graph.invoke({"prompt": payload.get("prompt", "")}, thread)
    return {"answer": state["answer"], "history": state["history"]}


if __name__ == "__main__":
    app.run()
