"""A Strands agent with the AgentCore session manager: its model is told what is known of the person.

The conversation of a session is read back when it goes on elsewhere; what was learned from all sessions of a
person comes with each question. Its model is Strands' default of Amazon Bedrock.
"""

import os
from typing import Any

from bedrock_agentcore import BedrockAgentCoreApp, RequestContext
from bedrock_agentcore.memory.integrations.strands.config import AgentCoreMemoryConfig, RetrievalConfig
from bedrock_agentcore.memory.integrations.strands.session_manager import AgentCoreMemorySessionManager
from strands import Agent

NAMESPACE = "/preferences/{actorId}/"

app = BedrockAgentCoreApp()
memory = os.environ["MEMORY_ID"]


@app.entrypoint
async def invoke(payload: dict[str, Any], context: RequestContext) -> dict[str, str]:
    config = AgentCoreMemoryConfig(
        memory_id=memory,
        actor_id=payload.get("person", "somebody"),
        session_id=context.session_id or "local",
        retrieval_config={NAMESPACE: RetrievalConfig(top_k=3)},
    )
    with AgentCoreMemorySessionManager(config) as manager:
        agent = Agent(session_manager=manager, callback_handler=None)
        result = await agent.invoke_async(payload.get("prompt", "Hello"))
    return {"answer": str(result).strip()}


if __name__ == "__main__":
    app.run()
