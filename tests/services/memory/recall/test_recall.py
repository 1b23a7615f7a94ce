"""What was remembered is found again: by its words or its meaning, in its namespace, and by nobody else."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import RunningServer
from tests.services.memory.remembering import NOON, Remembering
from tests.stories.terminal import Terminal

_PATIENCE_SECONDS = 60

_FACTS = {
    "/ann/likes/": ["Ann is fond of strong black coffee.", "Ann prefers a seat at the window."],
    "/ann/work/": ["Ann leads the payments team.", "The payments team meets on Tuesdays."],
    "/bob/likes/": ["Bob drinks nothing but coffee."],
}


def until(found: Callable[[], list[str]], wanted: set[str]) -> list[str]:
    """What is found, once all that is wanted is among it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not wanted <= set(texts := found()):
        assert time.monotonic() < deadline, texts
        time.sleep(0.05)
    return texts


def remember(remembering: Remembering, memory: str, facts: dict[str, list[str]]) -> list[Any]:
    records = [
        {
            "requestIdentifier": f"{number}",
            "namespaces": [namespace],
            "content": {"text": text},
            "timestamp": NOON,
            "metadata": {"about": {"stringValue": text.split()[0]}},
        }
        for number, (namespace, text) in enumerate(
            (name, one) for name, texts in facts.items() for one in texts
        )
    ]
    made = remembering.data.batch_create_memory_records(memoryId=memory, records=records)
    assert not made["failedRecords"]
    return list(made["successfulRecords"])


def search(remembering: Remembering, memory: str, query: str, **members: Any) -> list[Any]:
    criteria = {"searchQuery": query, **members.pop("criteria", {})}
    answer = remembering.data.retrieve_memory_records(memoryId=memory, searchCriteria=criteria, **members)
    return list(answer["memoryRecordSummaries"])


def test_records_are_found_in_their_namespace_the_best_first(remembering: Remembering) -> None:
    memory = remembering.create()
    made = remember(remembering, memory, _FACTS)

    def ask(query: str, **members: Any) -> list[str]:
        return [one["content"]["text"] for one in search(remembering, memory, query, **members)]

    everything = {text for texts in _FACTS.values() for text in texts}
    until(lambda: ask("coffee team seat", namespacePath="/"), everything)

    assert ask("Which drink does she like?", namespace="/ann/likes/")[0] == _FACTS["/ann/likes/"][0]
    assert set(ask("coffee", namespacePath="/ann/")) == {
        *_FACTS["/ann/likes/"],
        *_FACTS["/ann/work/"],
    }, "Bob's is not Ann's"
    assert ask("coffee", namespacePath="/ann/", criteria={"topK": 1}) == _FACTS["/ann/likes/"][:1]
    about = {"left": {"metadataKey": "about"}, "operator": "EQUALS_TO"}
    the = {**about, "right": {"metadataValue": {"stringValue": "The"}}}
    assert ask("coffee", namespacePath="/", criteria={"metadataFilters": [the]}) == [_FACTS["/ann/work/"][1]]
    scores = [one["score"] for one in search(remembering, memory, "coffee", namespacePath="/")]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score < 1 for score in scores)

    wanted = {"memoryId": memory, "searchCriteria": {"searchQuery": "coffee"}, "namespacePath": "/"}
    pages = [remembering.data.retrieve_memory_records(**wanted, maxResults=2)]
    while token := pages[-1].get("nextToken"):
        pages.append(remembering.data.retrieve_memory_records(**wanted, maxResults=2, nextToken=token))
    assert [len(page["memoryRecordSummaries"]) for page in pages] == [2, 2, 1]
    assert {one["content"]["text"] for page in pages for one in page["memoryRecordSummaries"]} == everything
    for actor in ("ann", "bob"):
        remembering.say(memory, "Hello.", actorId=actor)
    other = remembering.data.list_actors(memoryId=memory, maxResults=1)["nextToken"]
    with pytest.raises(ClientError, match="not one that this operation gave out"):
        remembering.data.retrieve_memory_records(**wanted, nextToken=other)

    remembering.data.delete_memory_record(memoryId=memory, memoryRecordId=made[0]["memoryRecordId"])
    assert _FACTS["/ann/likes/"][0] not in ask("coffee", namespacePath="/")


def test_chinese_is_found_by_its_meaning_asked_in_either_language(remembering: Remembering) -> None:
    memory = remembering.create()
    cat, wedding = "Mei: 家里養了一隻三歲的橘貓", "Mei: 我们的婚礼定在十月"
    bicycle = "Mei rides to work on a bicycle."
    remember(remembering, memory, {"/mei/": [cat, wedding, bicycle]})

    def found(query: str) -> list[str]:
        return [one["content"]["text"] for one in search(remembering, memory, query, namespace="/mei/")]

    def best(query: str) -> str:
        return found(query)[0]

    until(lambda: found("Mei"), {cat, wedding, bicycle})
    assert best("橘猫") == cat  # in simplified characters what was said in traditional ones
    assert best("What pet does she have?") == cat
    assert best("她什么时候结婚?") == wedding
    assert best("她怎么去上班?") == bicycle


def test_a_changed_record_is_found_by_its_new_words_alone(remembering: Remembering) -> None:
    memory = remembering.create()
    made = remember(remembering, memory, {"/ann/": ["Ann works for Globex."]})
    change = {
        "memoryRecordId": made[0]["memoryRecordId"],
        "timestamp": NOON,
        "content": {"text": "Ann works for Initech."},
    }
    remembering.data.batch_update_memory_records(memoryId=memory, records=[change])

    def best(query: str) -> list[str]:
        return [one["content"]["text"] for one in search(remembering, memory, query, namespace="/ann/")]

    until(lambda: best("Initech"), {"Ann works for Initech."})
    assert best("Globex") == ["Ann works for Initech."], "it is near in meaning, and says what it says now"


def test_a_namespace_that_is_meant_as_a_path_is_told(remembering: Remembering) -> None:
    strategy = {"semanticMemoryStrategy": {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}}
    memory = remembering.create(memoryStrategies=[strategy])
    remember(remembering, memory, {"/facts/ann/": ["Ann likes tea."]})
    with pytest.raises(ClientError, match="namespacePath=/facts/"):
        search(remembering, memory, "tea", namespace="/facts/")
    with pytest.raises(ClientError, match="exactly one of namespace"):
        search(remembering, memory, "tea")


def test_what_was_said_is_found_word_for_word(
    remembering: Remembering, server: RunningServer, tmp_path: Path
) -> None:
    memory = remembering.create()
    remembering.say(memory, "Which instrument would you like to learn?", role="ASSISTANT")
    remembering.say(memory, "The cello, ever since I was a child.")
    remembering.say(memory, "I never learned to swim.", sessionId="second")
    remembering.say(memory, "My cello is from Cremona.", actorId="bob")
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    name = remembering.get(memory)["name"]

    def said(*options: str) -> list[str]:
        query = "Which instrument does she want to learn?"
        found = user.json("innkeeper", "memory", "search", name, query, "--json", *options)
        return [turn["text"] for turn in found["turns"]]

    ann = ["Which instrument would you like to learn?", "The cello, ever since I was a child."]
    until(lambda: said("--actor", "ann"), {*ann, "I never learned to swim."})
    assert said("--actor", "ann", "--limit", "2") == ann, "an answer is found with its question"
    assert said("--actor", "ann", "--session", "second") == ["I never learned to swim."]
    assert said("--actor", "carol") == []
    until(lambda: said("--actor", "bob"), {"My cello is from Cremona."})
    shown = user.ok("innkeeper", "memory", "search", name, "cello", "--actor", "bob")
    assert "words 0.60" in shown
    assert "USER: My cello is from Cremona." in shown
