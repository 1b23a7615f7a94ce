"""A Strands agent with its default Amazon Bedrock model and one tool.

With AWS_ENDPOINT_URL set, as it is inside Innkeeper, its model calls arrive at Innkeeper's model gateway.
"""

from typing import Any

from bedrock_agentcore import BedrockAgentCoreApp
from strands import Agent, tool

app = BedrockAgentCoreApp()


@tool
def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


agent = Agent(tools=[word_count], callback_handler=None)


@app.entrypoint
async def invoke(payload: dict[str, Any]) -> dict[str, str]:
    result = await agent.invoke_async(payload.get("prompt", "Hello"))
    return {"answer": str(result).strip()}


if __name__ == "__main__":
    app.run()
