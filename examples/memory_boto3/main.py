"""An agent that knows people again in later sessions, with boto3 alone and no language model.

What a person says becomes an event; what the memory learns from it is found whenever the person comes back.
"""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
from bedrock_agentcore import BedrockAgentCoreApp, RequestContext

NAMESPACE = "/preferences/{actorId}/"

app = BedrockAgentCoreApp()
data = boto3.client("bedrock-agentcore")
memory = os.environ["MEMORY_ID"]


@app.entrypoint
def invoke(payload: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    person, prompt = payload.get("person", "somebody"), payload.get("prompt", "Hello")
    known = recall(person, prompt)
    answer = f"I remember: {known[0]}" if known else "I shall remember what you prefer."
    keep(person, context.session_id or "local", USER=prompt, ASSISTANT=answer)
    return {"answer": answer, "known": known}


def recall(person: str, query: str) -> list[str]:
    """What is known of a person and has to do with the query, the best first."""
    found = data.retrieve_memory_records(
        memoryId=memory,
        namespace=NAMESPACE.format(actorId=person),
        searchCriteria={"searchQuery": query, "topK": 3},
    )
    return [record["content"]["text"] for record in found["memoryRecordSummaries"]]


def keep(person: str, session: str, **said: str) -> None:
    messages = [{"conversational": {"role": role, "content": {"text": text}}} for role, text in said.items()]
    data.create_event(
        memoryId=memory,
        actorId=person,
        sessionId=session,
        eventTimestamp=datetime.now(UTC),
        payload=messages,
    )


if __name__ == "__main__":
    app.run()
