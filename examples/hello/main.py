"""The smallest agent: greets, and counts the calls of its session."""

from itertools import count
from typing import Any

from bedrock_agentcore import BedrockAgentCoreApp, RequestContext

app = BedrockAgentCoreApp()
calls = count(1)  # a session has its own process, so this is the session's own count


@app.entrypoint
def invoke(payload: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    return {
        "answer": f"Hello! You said: {payload.get('prompt', 'nothing')}",
        "call": next(calls),
        "session": context.session_id,
    }


if __name__ == "__main__":
    app.run()
