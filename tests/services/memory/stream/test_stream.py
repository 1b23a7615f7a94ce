"""A subscriber follows the records of a memory, and misses nothing when it comes back."""

from typing import Any
from urllib.error import HTTPError

import pytest

from tests.running import RunningServer
from tests.services.memory.remembering import Remembering

_ARN = "arn:aws:kinesis:us-west-2:123456789012:stream/records"


def test_changes_of_records_are_followed(remembering: Remembering, server: RunningServer) -> None:
    content = {"type": "MEMORY_RECORDS", "level": "FULL_CONTENT"}
    kinesis = {"dataStreamArn": _ARN, "contentConfigurations": [content]}
    memory = remembering.create(streamDeliveryResources={"resources": [{"kinesis": kinesis}]})

    def read(after: int, **query: int) -> Any:
        options = "".join(f"&{name}={value}" for name, value in query.items())
        return server.native("GET", f"/-/v1/memories/{memory}/stream?after={after}{options}")

    assert read(0) == {"events": [], "after": 0}
    tea, cake = remembering.note(memory, "/ann/", "Ann likes tea.", "Ann likes cake.")
    first = read(0, limit=1, waitSeconds=20)
    assert [one["memoryStreamEvent"]["memoryRecordText"] for one in first["events"]] == ["Ann likes tea."]
    change = {"memoryRecordId": cake, "timestamp": "2026-01-02T12:00:00Z", "content": {"text": "Ann bakes."}}
    remembering.data.batch_update_memory_records(memoryId=memory, records=[change])
    remembering.data.delete_memory_record(memoryId=memory, memoryRecordId=tea)
    rest = read(first["after"])
    told = [one["memoryStreamEvent"] for one in rest["events"]]
    assert [(one["eventType"], one["memoryRecordId"], one.get("memoryRecordText")) for one in told] == [
        ("MemoryRecordCreated", cake, "Ann bakes."),
        ("MemoryRecordUpdated", cake, "Ann bakes."),
        ("MemoryRecordDeleted", tea, None),
    ]
    assert all(one["namespaces"] == ["/ann/"] for one in told)
    assert [one["sequence"] for one in rest["events"]] == [2, 3, 4]
    assert read(rest["after"]) == {"events": [], "after": 4}
    with pytest.raises(HTTPError, match="400"):
        read(-1)
    with pytest.raises(HTTPError, match="404"):
        server.native("GET", f"/-/v1/memories/{memory}/stream", None, server.new_tenant())
    plain = remembering.create()
    remembering.note(plain, "/ann/", "Ann likes tea.")
    (event,) = server.native("GET", f"/-/v1/memories/{plain}/stream")["events"]
    assert "memoryRecordText" not in event["memoryStreamEvent"]
