"""A memory of a running server, as a program with boto3 has it."""

import uuid
from datetime import UTC, datetime
from typing import Any

from tests.running import RunningServer

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Remembering:
    def __init__(self, server: RunningServer, keys: tuple[str, str] | None = None) -> None:
        self.server = server
        self.control = server.client("bedrock-agentcore-control", keys)
        self.data = server.client("bedrock-agentcore", keys)

    def create(self, **members: Any) -> str:
        """The id of a new memory."""
        wanted = {"name": new_name(), "eventExpiryDuration": 30, **members}
        made: str = self.control.create_memory(**wanted)["memory"]["id"]
        return made

    def get(self, memory: str) -> Any:
        return self.control.get_memory(memoryId=memory)["memory"]

    def say(self, memory: str, text: str, role: str = "USER", **members: Any) -> Any:
        """One message, as an event of Ann's first session unless said otherwise."""
        wanted = {
            "memoryId": memory,
            "actorId": "ann",
            "sessionId": "first",
            "eventTimestamp": NOON,
            "payload": [{"conversational": {"role": role, "content": {"text": text}}}],
        }
        return self.data.create_event(**{**wanted, **members})["event"]

    def heard(self, memory: str, actor: str = "ann", session: str = "first", **members: Any) -> list[str]:
        """The first text of each event, the newest first."""
        answer = self.data.list_events(memoryId=memory, actorId=actor, sessionId=session, **members)
        return [text_of(one) for one in answer["events"]]

    def note(self, memory: str, namespace: str, *texts: str, **members: Any) -> list[str]:
        """The ids of new records, in one namespace."""
        wanted = [
            {
                "requestIdentifier": f"r{number}",
                "namespaces": [namespace],
                "content": {"text": text},
                "timestamp": NOON,
                **members,
            }
            for number, text in enumerate(texts)
        ]
        answer = self.data.batch_create_memory_records(memoryId=memory, records=wanted)
        assert answer["failedRecords"] == []
        return [one["memoryRecordId"] for one in answer["successfulRecords"]]

    def noted(self, memory: str, **members: Any) -> list[str]:
        """The texts of records, the newest first."""
        answer = self.data.list_memory_records(memoryId=memory, **members)
        return [one["content"]["text"] for one in answer["memoryRecordSummaries"]]


def text_of(event: Any) -> str:
    return str(event["payload"][0]["conversational"]["content"]["text"])


def new_name() -> str:
    return f"memory_{uuid.uuid4().hex[:12]}"
