"""What users miss: an actor and a session are exported and erased, wholly, also from the database's files."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.running import RunningServer
from tests.services.memory.remembering import Remembering
from tests.stories.terminal import Terminal

FACTS = {"semanticMemoryStrategy": {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}}
SUMS = {"summaryMemoryStrategy": {"name": "sums", "namespaceTemplates": ["/sums/{actorId}/{sessionId}/"]}}


@pytest.fixture
def user(server: RunningServer, tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})


def fill(remembering: Remembering, secret: str) -> str:
    memory = remembering.create(memoryStrategies=[FACTS, SUMS])
    for actor in ("ann", "bob"):
        for session in ("first", "second"):
            text = f"{secret} {actor} {session}"
            root = remembering.say(memory, text, actorId=actor, sessionId=session)["eventId"]
            branch = {"name": "other", "rootEventId": root}
            remembering.say(memory, text, actorId=actor, sessionId=session, branch=branch)
            remembering.note(memory, f"/sums/{actor}/{session}/", text)
        remembering.note(memory, f"/facts/{actor}/", f"{secret} {actor}")
        remembering.note(memory, f"/by-hand/{actor}", f"{secret} {actor}")
    return memory


def on_disk(server: RunningServer, text: str) -> bool:
    """In the tables or the index, whose words are in lower case and apart."""
    files = [*server.data_dir.glob("innkeeper.db*"), *server.data_dir.glob("search/*")]
    return any(text.encode() in path.read_bytes() for path in files)


def test_a_person_is_erased_wholly(server: RunningServer, remembering: Remembering, user: Terminal) -> None:
    memory = fill(remembering, "pq7secret")
    name = remembering.get(memory)["name"]
    lines = user.ok("innkeeper", "memory", "export", name, "--actor", "ann").splitlines()
    assert [next(iter(json.loads(line))) for line in lines] == ["event"] * 4 + ["record"] * 3
    sqlite = "database_url" not in server.settings
    if sqlite:
        assert on_disk(server, "pq7secret ann first")

    erase = "innkeeper", "memory", "erase", name, "--actor", "ann", "--yes", "--json"
    assert user.json(*erase, "--session", "first") == {"sessions": 1, "events": 2, "turns": 2, "records": 1}
    assert remembering.heard(memory, "ann", "first") == []
    assert len(remembering.heard(memory, "ann", "second")) == 2
    assert user.json(*erase, "--namespace-path", "/by-hand/ann") == {
        "sessions": 1, "events": 2, "turns": 2, "records": 3
    }  # fmt: skip
    shown = user.json("innkeeper", "memory", "show", name, "--json")
    assert shown["holds"] == {"sessions": 2, "events": 4, "turns": 4, "records": 4}
    assert [one["actorId"] for one in remembering.data.list_actors(memoryId=memory)["actorSummaries"]] == [
        "bob"
    ]
    assert all("bob" in text for text in remembering.noted(memory, namespacePath="/"))
    if sqlite:
        assert not on_disk(server, "pq7secret ann")
        assert on_disk(server, "pq7secret bob")
    assert name in user.ok("innkeeper", "memory", "ls")


def test_a_deleted_memory_leaves_nothing(server: RunningServer, remembering: Remembering) -> None:
    memory = fill(remembering, "zk4secret")
    remembering.control.delete_memory(memoryId=memory)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        remembering.heard(memory)
    if "database_url" not in server.settings:
        assert not on_disk(server, "zk4secret")


def test_a_mistake_erases_nothing(remembering: Remembering, server: RunningServer, user: Terminal) -> None:
    memory = fill(remembering, "safe")
    for arguments in (["--actor", ""], ["--actor", "ann", "--session", ""]):
        failed = user.run("innkeeper", "memory", "erase", memory, *arguments, "--yes")
        assert failed.returncode != 0
        assert "not empty" in failed.stderr
    failed = user.run("innkeeper", "memory", "export", memory, "--session", "first")
    assert "name the actor" in failed.stderr
    stranger = Remembering(server, server.new_tenant())
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        stranger.data.list_actors(memoryId=memory)
    assert user.json("innkeeper", "memory", "show", memory, "--json")["holds"]["events"] == 8
