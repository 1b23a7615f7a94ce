"""Memories: made with their strategies, changed, listed, tagged, deleted; and nobody else's."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import RunningServer
from tests.services.memory.remembering import Remembering, new_name

OVERRIDE = {"appendToPrompt": "Keep units.", "modelId": "some-model"}
TOPIC = {
    "topicArn": "arn:aws:sns:us-west-2:123456789012:extract",
    "payloadDeliveryBucketName": "extracts",
}
STRATEGIES: list[dict[str, Any]] = [
    {"semanticMemoryStrategy": {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}},
    {"summaryMemoryStrategy": {"name": "sums", "description": "What was said"}},
    {"userPreferenceMemoryStrategy": {"name": "likes", "namespaces": ["/likes/{actorId}"]}},
    {"episodicMemoryStrategy": {"name": "episodes"}},
    {
        "customMemoryStrategy": {
            "name": "own_facts",
            "configuration": {"semanticOverride": {"extraction": OVERRIDE, "consolidation": OVERRIDE}},
        }
    },
    {
        "customMemoryStrategy": {
            "name": "by_hand",
            "configuration": {"selfManagedConfiguration": {"invocationConfiguration": TOPIC}},
        }
    },
]


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def test_strategies_are_kept_whole(remembering: Remembering) -> None:
    made = remembering.control.create_memory(
        name=new_name(), eventExpiryDuration=7, memoryStrategies=STRATEGIES, description="mine"
    )["memory"]
    assert made["status"] == "CREATING"
    memory = remembering.get(made["id"])
    assert (memory["status"], memory["eventExpiryDuration"], memory["description"]) == ("ACTIVE", 7, "mine")
    assert memory["arn"].endswith(f":memory/{memory['id']}")
    facts, sums, likes, episodes, own, by_hand = memory["strategies"]
    assert facts["strategyId"].startswith("facts-")
    assert facts["namespaces"] == facts["namespaceTemplates"] == ["/facts/{actorId}/"]
    assert [one["type"] for one in memory["strategies"]] == [
        "SEMANTIC", "SUMMARIZATION", "USER_PREFERENCE", "EPISODIC", "CUSTOM", "CUSTOM"
    ]  # fmt: skip
    assert sums["namespaces"] == ["/strategies/{memoryStrategyId}/actors/{actorId}/sessions/{sessionId}/"]
    assert likes["namespaceTemplates"] == ["/likes/{actorId}"]
    reflection = episodes["configuration"]["reflection"]["episodicReflectionConfiguration"]
    assert reflection["namespaceTemplates"] == ["/strategies/{memoryStrategyId}/actors/{actorId}/"]
    assert own["configuration"]["type"] == "SEMANTIC_OVERRIDE"
    extraction = own["configuration"]["extraction"]["customExtractionConfiguration"]
    assert extraction == {"semanticExtractionOverride": OVERRIDE}
    managed = by_hand["configuration"]["selfManagedConfiguration"]
    assert managed["invocationConfiguration"] == TOPIC
    assert len(managed["triggerConditions"]) == 3


def test_a_memory_is_changed(remembering: Remembering) -> None:
    memory = remembering.create(
        memoryStrategies=STRATEGIES[:2] + STRATEGIES[3:],
        indexedKeys=[{"key": "priority", "type": "NUMBER"}],
    )
    facts, sums, episodes, _, by_hand = (one["strategyId"] for one in remembering.get(memory)["strategies"])
    changes = {
        "deleteMemoryStrategies": [{"memoryStrategyId": sums}],
        "addMemoryStrategies": [STRATEGIES[2]],
        "modifyMemoryStrategies": [
            {
                "memoryStrategyId": facts,
                "description": "better",
                "recordExpirySpecification": {"recordExpiryDurationDays": 31},
            },
            {
                "memoryStrategyId": episodes,
                "configuration": {
                    "reflection": {
                        "episodicReflectionConfiguration": {"namespaceTemplates": ["/learned/{actorId}/"]}
                    }
                },
            },
            {
                "memoryStrategyId": by_hand,
                "configuration": {"selfManagedConfiguration": {"historicalContextWindowSize": 9}},
            },
        ],
    }
    wanted = {
        "memoryId": memory,
        "clientToken": "token-of-one-change-" + memory,
        "description": "changed",
        "eventExpiryDuration": 90,
        "memoryStrategies": changes,
        "addIndexedKeys": [{"key": "region", "type": "STRING"}],
    }
    for _ in range(2):  # the second is the same request again
        after = remembering.control.update_memory(**wanted)["memory"]
    assert (after["description"], after["eventExpiryDuration"]) == ("changed", 90)
    assert [one["key"] for one in after["indexedKeys"]] == ["priority", "region"]
    by_name = {one["name"]: one for one in after["strategies"]}
    assert set(by_name) == {"facts", "episodes", "own_facts", "by_hand", "likes"}
    assert (by_name["facts"]["description"], by_name["facts"]["recordExpiryDurationDays"]) == ("better", 31)
    reflection = by_name["episodes"]["configuration"]["reflection"]["episodicReflectionConfiguration"]
    assert reflection["namespaces"] == reflection["namespaceTemplates"] == ["/learned/{actorId}/"]
    managed = by_name["by_hand"]["configuration"]["selfManagedConfiguration"]
    assert managed["historicalContextWindowSize"] == 9
    assert managed["invocationConfiguration"] == TOPIC


FOREVER = {
    "semanticMemoryStrategy": {
        "name": "facts",
        "recordExpirySpecification": {"recordExpiryDurationDays": 2**31 - 1},
    }
}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"memoryStrategies": STRATEGIES + STRATEGIES[:1]}, "at most 6"),
        ({"memoryStrategies": STRATEGIES[:1] * 2}, "two are named facts"),
        ({"memoryStrategies": [FOREVER]}, "at most 365000 days"),
        (
            {"memoryStrategies": [{"semanticMemoryStrategy": {"name": "x", "namespaces": ["/{user}/"]}}]},
            "no variable {user}",
        ),
        ({"indexedKeys": [{"key": "k", "type": "NUMBER"}, {"key": "k", "type": "STRING"}]}, "only once"),
    ],
)
def test_what_cannot_be_is_refused(remembering: Remembering, members: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClientError) as error:
        remembering.create(**members)
    assert refused(error)[0] == "ValidationException"
    assert reason in refused(error)[1]


def test_a_name_is_taken_once_and_a_repeat_makes_nothing(remembering: Remembering) -> None:
    name = new_name()
    wanted = {"name": name, "eventExpiryDuration": 30, "clientToken": f"{name:t<40}"}
    first, again = (remembering.control.create_memory(**wanted)["memory"]["id"] for _ in range(2))
    assert first == again
    with pytest.raises(ClientError) as error:
        remembering.create(name=wanted["name"])
    assert refused(error)[0] == "ValidationException"
    assert "already exists" in refused(error)[1]


def test_memories_are_listed_in_pages_and_tagged(remembering: Remembering) -> None:
    made = {remembering.create(tags={"team": "blue"}) for _ in range(3)}
    pages = remembering.control.get_paginator("list_memories").paginate(PaginationConfig={"PageSize": 2})
    listed = [one for page in pages for one in page["memories"]]
    assert made <= {one["id"] for one in listed}
    arn = remembering.get(made.pop())["arn"]
    assert remembering.control.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "blue"}


def test_a_deleted_memory_is_gone_with_its_tags(remembering: Remembering) -> None:
    memory = remembering.create(tags={"a": "b"})
    arn = remembering.get(memory)["arn"]
    assert remembering.control.delete_memory(memoryId=memory)["status"] == "DELETING"
    calls: list[Callable[[], Any]] = [
        lambda: remembering.get(memory),
        lambda: remembering.control.delete_memory(memoryId=memory),
        lambda: remembering.control.update_memory(memoryId=memory, description="x"),
        lambda: remembering.control.list_tags_for_resource(resourceArn=arn),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            call()


def test_a_strangers_memory_looks_unknown(server: RunningServer, remembering: Remembering) -> None:
    memory = remembering.create()
    stranger = Remembering(server, server.new_tenant())
    assert stranger.control.list_memories()["memories"] == []
    calls: list[Callable[[], Any]] = [
        lambda: stranger.get(memory),
        lambda: stranger.control.delete_memory(memoryId=memory),
        lambda: stranger.control.update_memory(memoryId=memory, description="x"),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            call()
    assert remembering.get(memory)["status"] == "ACTIVE"
