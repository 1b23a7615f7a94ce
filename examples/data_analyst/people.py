"""What is known of the people who ask, from all their sessions. Without a memory, nothing."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import boto3

NAMESPACE = "/preferences/{actorId}/"  # as `innkeeper memory create` makes it


class People:
    def __init__(self, memory_id: str) -> None:
        self._memory_id = memory_id
        self._client = boto3.client("bedrock-agentcore") if memory_id else None

    async def wishes(self, person: str, question: str) -> list[str]:
        """What a person has said of how things should be done, the most fitting first."""
        if not (self._client and person):
            return []
        query = f"What does {person} prefer? {question}"
        found = await asyncio.to_thread(
            self._client.retrieve_memory_records,
            memoryId=self._memory_id,
            namespace=NAMESPACE.format(actorId=person),
            searchCriteria={"searchQuery": query, "topK": 3},
        )
        return [record["content"]["text"] for record in found["memoryRecordSummaries"]]

    async def keep(self, person: str, session: str, question: str, answer: str) -> None:
        """An event of what was said; the memory learns from it by itself."""
        if self._client and person:
            await asyncio.to_thread(
                self._client.create_event,
                memoryId=self._memory_id,
                actorId=person,
                sessionId=session,
                eventTimestamp=datetime.now(UTC),
                payload=[_message("USER", question), _message("ASSISTANT", answer)],
            )


def _message(role: str, text: str) -> dict[str, Any]:
    return {"conversational": {"role": role, "content": {"text": text}}}
