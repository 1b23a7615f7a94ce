"""A LlamaIndex agent with AgentCore memory, and a model of Amazon Bedrock by its id.

Its chat is kept in the session of the person; what was learned from all sessions stands before each question.
"""

import os
from typing import Any

from bedrock_agentcore import BedrockAgentCoreApp, RequestContext
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.bedrock_converse import BedrockConverse
from llama_index.memory.bedrock_agentcore import AgentCoreMemory, AgentCoreMemoryContext

MODEL_ID = os.environ.get("MODEL_ID", "anthropic.claude-sonnet-4-20250514-v1:0")
NAMESPACE = "/preferences/{actorId}/"

app = BedrockAgentCoreApp()
memory = os.environ["MEMORY_ID"]


def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


@app.entrypoint
async def invoke(payload: dict[str, Any], context: RequestContext) -> dict[str, str]:
    person = payload.get("person", "somebody")
    place = AgentCoreMemoryContext(
        memory_id=memory,
        actor_id=person,
        session_id=context.session_id or "local",
        namespace=NAMESPACE.format(actorId=person),  # "/", its default, would mean exactly that one
    )
    agent = FunctionAgent(tools=[word_count], llm=BedrockConverse(model=MODEL_ID))
    answer = await agent.run(payload.get("prompt", "Hello"), memory=AgentCoreMemory(place))
    return {"answer": str(answer)}


if __name__ == "__main__":
    app.run()
