"""Documents longer than any context: found by what they say, pulled into view and released again."""

import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from tests.running import RunningServer
from tests.services.memory.remembering import Remembering
from tests.stories.terminal import Terminal

BOOK = "# The house\n\nAn inn by the sea.\n\n" + "".join(
    f"## Room {number}\n\nRoom {number} has a bed and a view. " + "The floor creaks at night. " * 30 + "\n\n"
    for number in range(1, 20)
)
SECRET = "## 地下室\n\n酒窖的门在厨房后面。\n\n## Cellar\n\nThe pelican sleeps under the stairs.\n"


class Desk:
    def __init__(self, server: RunningServer, memory: str) -> None:
        self.server = server
        self.memory = f"/-/v1/memories/{memory}"

    def ask(self, method: str, path: str = "", **members: Any) -> Any:
        """In the query or in the body, as the method has it."""
        wanted = {"actor": "ann", **members}
        whole = f"{self.memory}/documents{path}"
        if method in ("GET", "DELETE"):
            return self.server.native(method, f"{whole}?{urlencode(wanted)}")
        return self.server.native(method, whole, wanted)

    def refused(self, status: int, method: str, path: str = "", **members: Any) -> None:
        with pytest.raises(HTTPError) as refusal:
            self.ask(method, path, **members)
        assert refusal.value.code == status

    def found(self, query: str, document: str, **members: Any) -> Any:
        """The best hit, once it is in this document: what is new is in the index a little later, and by its
        words sooner than by its meaning."""
        for _ in range(600):
            hits = self.ask("POST", "/search", query=query, limit=5, **members)["chunks"]
            if hits and hits[0]["document"] == document:
                return hits[0]
            time.sleep(0.1)
        raise AssertionError("nothing was found")

    def seen(self, session: str = "first", tokens: int = 3000) -> dict[str, list[str]]:
        wanted = {"actor": "ann", "session": session, "tokens": tokens}
        context = self.server.native("POST", f"{self.memory}/context", wanted)
        assert context["tokens"] <= tokens
        return {one["part"]: [piece["id"] for piece in one["pieces"]] for one in context["parts"]}


@pytest.fixture
def desk(server: RunningServer, remembering: Remembering) -> Desk:
    return Desk(server, remembering.create())


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_documents_are_kept_from_the_command_line(desk: Desk, tmp_path: Path) -> None:
    server = desk.server
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    run = ["innkeeper", "memory", "documents"]
    whose = [desk.memory.rpartition("/")[2], "--actor", "ann"]
    (tmp_path / "house.md").write_text(BOOK)
    (tmp_path / "house.bin").write_bytes(b"\xff")
    made = user.json(*run, "add", *whose, "house.md", "--json")
    assert "house.md" in user.ok(*run, "ls", *whose)
    assert "Room 19" in user.ok(*run, "show", *whose, made["id"])
    assert user.ok(*run, "show", *whose, made["id"], "--text") == BOOK
    user.ok(*run, "rm", *whose, made["id"])
    assert desk.ask("GET")["documents"] == []
    assert "UTF-8" in user.refused(*run, "add", *whose, "house.bin")


def test_a_book_is_read_where_it_matters(desk: Desk) -> None:
    made = desk.ask("POST", title="House book", text=BOOK + SECRET)
    assert made.pop("held") == 0
    assert [one["title"] for one in made["sections"]][:3] == ["The house", "Room 1", "Room 2"]
    assert made["summary"].startswith("An inn by the sea.")
    assert desk.ask("GET")["documents"][0] == {
        name: value for name, value in made.items() if name != "sections"
    }
    path, id_ = f"/{made['id']}", made["id"]
    assert desk.ask("GET", path) == made
    whole = desk.ask("GET", f"{path}/chunks")["chunks"]
    assert "".join(one["text"] for one in whole) == BOOK + SECRET

    hit = desk.found("Where does the pelican sleep?", id_)
    assert hit["heading"] == "House book / The house / Cellar"
    assert "厨房后面" in desk.found("酒窖的门在哪里", id_)["text"]
    assert desk.ask("POST", "/search", query="pelican", actor="bob")["chunks"] == []

    # In view is what was pulled; of the rest, what it is about.
    assert desk.seen()["documents"] == [id_]
    pulled = desk.ask("POST", f"{path}/pull", session="first", first=hit["number"], last=hit["number"])
    assert pulled == {"inView": [hit["number"]]}
    assert desk.seen()["documents"] == [f"{id_}/{hit['number']}", id_]
    assert desk.seen("second")["documents"] == [id_]
    for _ in range(2):
        pulled = desk.ask("POST", f"{path}/pull", session="first", first=0, last=1)
        assert pulled == {"inView": [0, 1, hit["number"]]}
    assert desk.ask("POST", f"{path}/release", session="first", first=1) == {"inView": [0]}
    assert len(desk.ask("POST", f"{path}/pull", session="first")["inView"]) == made["chunks"]
    assert 1 <= len(desk.seen(tokens=1000)["documents"]) < made["chunks"]
    assert desk.ask("POST", f"{path}/release", session="first") == {"inView": []}

    desk.refused(404, "GET", f"{path}/chunks", first=made["chunks"])
    desk.refused(404, "POST", f"{path}/pull", session="first", first=made["chunks"])
    desk.refused(404, "GET", path, actor="bob")
    desk.refused(400, "GET", f"{path}/chunks", first="x")
    desk.refused(400, "POST", title="Empty", text="")
    desk.refused(400, "POST", title="Too long", text="x" * 5_000_001)

    note = desk.ask("POST", title="Note", text="The cat sleeps on the roof.", session="first")["id"]
    assert desk.found("Does the cat sleep on the roof?", note, session="first")["document"] == note
    assert all(one["document"] == id_ for one in desk.ask("POST", "/search", query="cat sleeps")["chunks"])
    assert [one["id"] for one in desk.ask("GET")["documents"]] == [id_]
    desk.ask("POST", f"{path}/pull", session="first", first=0, last=0)
    desk.ask("DELETE", path)
    desk.refused(404, "DELETE", path)
    assert desk.seen()["documents"] == [note]
