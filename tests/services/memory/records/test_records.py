"""Records by hand: made in batches, found by namespace and metadata, changed, deleted; nobody else's."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import RunningServer
from tests.services.memory.remembering import NOON, Remembering

SCHEMA = {
    "metadataSchema": [
        {
            "key": "mood",
            "type": "STRING",
            "extractionConfig": {
                "llmExtractionConfig": {
                    "definition": "how they feel",
                    "validation": {"stringValidation": {"allowedValues": ["calm", "merry"]}},
                }
            },
        }
    ]
}
FACTS = {
    "semanticMemoryStrategy": {
        "name": "facts",
        "namespaceTemplates": ["/facts/{actorId}/"],
        "memoryRecordSchema": SCHEMA,
    }
}


@pytest.fixture
def memory(remembering: Remembering) -> str:
    return remembering.create(memoryStrategies=[FACTS], indexedKeys=[{"key": "priority", "type": "NUMBER"}])


def wanted(text: str = "likes tea", **members: Any) -> dict[str, Any]:
    base = {"requestIdentifier": "one", "namespaces": ["/facts/ann/"], "timestamp": NOON}
    return {**base, "content": {"text": text}, **members}


def test_a_record_is_kept_whole(remembering: Remembering, memory: str) -> None:
    strategy = remembering.get(memory)["strategies"][0]["strategyId"]
    metadata = {
        "priority": {"numberValue": 2.5},
        "tags": {"stringListValue": ["a", "b"]},
        "mood": {"stringValue": "calm"},
        "seen": {"dateTimeValue": datetime(2026, 2, 1, tzinfo=UTC)},
    }
    record = wanted(metadata=metadata, memoryStrategyId=strategy)
    made = remembering.data.batch_create_memory_records(
        memoryId=memory, records=[record], recordExpirySpecification={"recordExpiryDurationDays": 40}
    )["successfulRecords"][0]
    assert (made["status"], made["requestIdentifier"]) == ("SUCCEEDED", "one")
    kept = remembering.data.get_memory_record(memoryId=memory, memoryRecordId=made["memoryRecordId"])
    kept = kept["memoryRecord"]
    assert kept["content"] == {"text": "likes tea"}
    assert (kept["namespaces"], kept["memoryStrategyId"]) == (["/facts/ann/"], strategy)
    assert (kept["metadata"], kept["timestamp"]) == (metadata, NOON)
    assert (kept["expiresAt"] - kept["createdAt"]).days == 40
    assert remembering.noted(memory, namespace="/facts/ann/", memoryStrategyId=strategy) == ["likes tea"]


def test_each_of_a_batch_fails_or_succeeds_by_itself(remembering: Remembering, memory: str) -> None:
    strategy = remembering.get(memory)["strategies"][0]["strategyId"]
    answer = remembering.data.batch_create_memory_records(
        memoryId=memory,
        records=[
            wanted(requestIdentifier="good"),
            wanted(requestIdentifier="type", metadata={"priority": {"stringValue": "high"}}),
            wanted(
                requestIdentifier="mood",
                memoryStrategyId=strategy,
                metadata={"mood": {"stringValue": "angry"}},
            ),
            wanted(requestIdentifier="unknown", memoryStrategyId="facts-0000000000"),
            wanted(requestIdentifier="star", namespaces=["/facts/*/"]),
        ],
    )
    assert [one["requestIdentifier"] for one in answer["successfulRecords"]] == ["good"]
    failed = {one["requestIdentifier"]: one for one in answer["failedRecords"]}
    assert {name: one["errorCode"] for name, one in failed.items()} == {
        "type": 400, "mood": 400, "unknown": 404, "star": 400
    }  # fmt: skip
    assert "give it as numberValue" in failed["type"]["errorMessage"]
    assert "calm, merry" in failed["mood"]["errorMessage"]
    assert remembering.noted(memory, namespace="/facts/ann/") == ["likes tea"]


def test_a_repeated_batch_makes_nothing(remembering: Remembering, memory: str) -> None:
    batch = {"memoryId": memory, "records": [wanted()], "clientToken": uuid.uuid4().hex}
    first, again = (remembering.data.batch_create_memory_records(**batch) for _ in range(2))
    assert first["successfulRecords"] == again["successfulRecords"]
    assert remembering.noted(memory, namespace="/facts/ann/") == ["likes tea"]


def test_records_are_changed_and_deleted(remembering: Remembering, memory: str) -> None:
    tea, milk, bread = remembering.note(memory, "/facts/ann/", "tea", "milk", "bread")
    unknown = f"mem-{uuid.uuid4()}"
    answer = remembering.data.batch_update_memory_records(
        memoryId=memory,
        records=[
            {"memoryRecordId": tea, "timestamp": NOON, "content": {"text": "green tea"}},
            {"memoryRecordId": milk, "timestamp": NOON, "namespaces": ["/facts/bob/"]},
            {"memoryRecordId": unknown, "timestamp": NOON},
        ],
    )
    assert [one["memoryRecordId"] for one in answer["successfulRecords"]] == [tea, milk]
    assert [(one["memoryRecordId"], one["errorCode"]) for one in answer["failedRecords"]] == [(unknown, 404)]
    assert remembering.noted(memory, namespacePath="/facts") == ["bread", "milk", "green tea"]
    assert remembering.noted(memory, namespace="/facts/bob/") == ["milk"]
    elsewhere = {"memoryId": memory, "memoryRecordId": milk, "namespace": "/facts/ann/"}
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        remembering.data.delete_memory_record(**elsewhere)
    remembering.data.delete_memory_record(memoryId=memory, memoryRecordId=milk)
    answer = remembering.data.batch_delete_memory_records(
        memoryId=memory, records=[{"memoryRecordId": one} for one in (bread, milk)]
    )
    assert [one["memoryRecordId"] for one in answer["successfulRecords"]] == [bread]
    assert [one["memoryRecordId"] for one in answer["failedRecords"]] == [milk]
    assert remembering.noted(memory, namespacePath="/facts") == ["green tea"]


def test_a_namespace_is_exact_and_a_path_is_a_subtree(remembering: Remembering, memory: str) -> None:
    for namespace in ("/facts/ann/", "/facts/ann/work", "/facts/anna/", "/Facts/ann/"):
        remembering.note(memory, namespace, namespace)
    assert remembering.noted(memory, namespace="/facts/ann/") == ["/facts/ann/"]
    for path in ("/facts/ann", "/facts/ann/"):
        assert remembering.noted(memory, namespacePath=path) == ["/facts/ann/work", "/facts/ann/"]
    assert len(remembering.noted(memory, namespacePath="/")) == 4
    assert remembering.noted(memory, namespacePath="/fact") == []


def test_an_empty_answer_does_not_hide_a_mistake(remembering: Remembering, memory: str) -> None:
    remembering.note(memory, "/facts/ann/", "tea")
    assert remembering.noted(memory, namespace="/facts/bob/") == []  # only nothing there yet
    for parent in ("/facts/", "/facts/ann"):
        with pytest.raises(ClientError, match=f"namespacePath={parent} "):
            remembering.noted(memory, namespace=parent)
    wrong: list[dict[str, Any]] = [{}, {"namespace": "/a", "namespacePath": "/a"}, {"namespace": "/a/*"}]
    for members in wrong:
        with pytest.raises(ClientError, match="namespace"):
            remembering.noted(memory, **members)


def test_records_are_found_by_metadata_in_pages(remembering: Remembering, memory: str) -> None:
    for number in range(5):
        priority = {"priority": {"numberValue": number}}
        remembering.note(memory, "/facts/ann/", str(number), metadata=priority)
    remembering.note(memory, "/facts/ann/", "none")
    above = {
        "left": {"metadataKey": "priority"},
        "operator": "GREATER_THAN",
        "right": {"metadataValue": {"numberValue": 1}},
    }
    pages = remembering.data.get_paginator("list_memory_records").paginate(
        memoryId=memory,
        namespacePath="/facts",
        metadataFilters=[above],
        PaginationConfig={"PageSize": 2},
    )
    found = [[one["content"]["text"] for one in page["memoryRecordSummaries"]] for page in pages]
    assert found == [["4", "3"], ["2"]]
    with pytest.raises(ClientError, match="GREATER_THAN needs"):
        remembering.noted(
            memory,
            namespacePath="/",
            metadataFilters=[{**above, "right": {"metadataValue": {"stringValue": "1"}}}],
        )


def test_a_stranger_finds_nothing(server: RunningServer, remembering: Remembering, memory: str) -> None:
    record = remembering.note(memory, "/facts/ann/", "secret")[0]
    stranger = Remembering(server, server.new_tenant())
    one = {"memoryRecordId": record}
    calls: list[Callable[[], Any]] = [
        lambda: stranger.noted(memory, namespacePath="/"),
        lambda: stranger.note(memory, "/facts/ann/", "x"),
        lambda: stranger.data.get_memory_record(memoryId=memory, **one),
        lambda: stranger.data.delete_memory_record(memoryId=memory, **one),
        lambda: stranger.data.batch_delete_memory_records(memoryId=memory, records=[one]),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            call()
    own = stranger.create()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        stranger.data.get_memory_record(memoryId=own, **one)
    assert remembering.noted(memory, namespacePath="/") == ["secret"]
