"""Blocks are written, edited by many at once without loss, and tell what they said before."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from tests.running import RunningServer
from tests.services.memory.remembering import Remembering


class Desk:
    def __init__(self, server: RunningServer, memory: str) -> None:
        self.server = server
        self.path = f"/-/v1/memories/{memory}/blocks"

    def ask(self, method: str, name: str = "", **members: Any) -> Any:
        """In the query or in the body, as the method has it."""
        wanted = {"actor": "ann", **members}
        path = self.path + (f"/{name}" if name else "")
        if method in ("GET", "DELETE"):
            return self.server.native(method, f"{path}?{urlencode(wanted)}")
        return self.server.native(method, path, wanted)

    def refused(self, status: int, method: str, name: str, **members: Any) -> str:
        with pytest.raises(HTTPError) as refusal:
            self.ask(method, name, **members)
        assert refusal.value.code == status
        return refusal.value.read().decode()


@pytest.fixture
def desk(server: RunningServer, remembering: Remembering) -> Desk:
    return Desk(server, remembering.create())


def test_a_block_is_written_and_edited(desk: Desk) -> None:
    made = desk.ask("PUT", "plan", text="1. Buy tea.", description="What to do", limit=60)
    assert (made["version"], made["limit"], made["session"]) == (1, 60, None)
    assert desk.ask("PATCH", "plan", append="2. Boil water.")["text"] == "1. Buy tea.\n2. Boil water."
    span = {"old": "Buy tea", "new": "Buy green tea"}
    assert desk.ask("PATCH", "plan", replace=span, ifVersion=2)["version"] == 3
    assert "version 3, not at version 2" in desk.refused(409, "PUT", "plan", text="", ifVersion=2)
    assert "exactly once, and does 2 times" in desk.refused(
        400, "PATCH", "plan", replace={**span, "old": ". B"}
    )
    assert "does 0 times" in desk.refused(400, "PATCH", "plan", replace={**span, "old": "coffee"})
    assert "at most 60 characters" in desk.refused(400, "PATCH", "plan", append="x" * 60)
    desk.refused(400, "PATCH", "plan", append="x", replace=span)
    desk.refused(400, "PUT", "2nd", text="x")
    desk.refused(404, "PATCH", "diary", append="x")
    assert "does not exist, not at version 4" in desk.refused(409, "PUT", "diary", text="x", ifVersion=4)
    assert desk.ask("GET", "plan")["text"] == "1. Buy green tea.\n2. Boil water."
    said = [(one["version"], one["text"][:12]) for one in desk.ask("GET", "plan/history")["versions"]]
    assert said == [(3, "1. Buy green"), (2, "1. Buy tea.\n"), (1, "1. Buy tea.")]

    desk.ask("PUT", "mood", text="calm", session="first")
    desk.ask("PUT", "mood", text="unknown", actor="bob")
    assert [one["name"] for one in desk.ask("GET")["blocks"]] == ["plan"]
    both = desk.ask("GET", session="first")["blocks"]
    assert [(one["name"], one["session"]) for one in both] == [("plan", None), ("mood", "first")]
    desk.refused(409, "DELETE", "plan", ifVersion=1)
    desk.ask("DELETE", "plan", ifVersion=3)
    desk.refused(404, "GET", "plan")
    desk.refused(404, "GET", "plan/history")


def test_many_write_at_once_and_nothing_is_lost(desk: Desk) -> None:
    def add(number: int) -> Any:
        return desk.ask("PATCH", "log", append=f"<{number}>")

    desk.ask("PUT", "log", text="")
    with ThreadPoolExecutor(6) as many:
        list(many.map(add, range(12)))
        made = list(many.map(lambda _: _status(desk), range(6)))
    assert sorted(desk.ask("GET", "log")["text"].split()) == sorted(f"<{number}>" for number in range(12))
    assert desk.ask("GET", "log")["version"] == 13
    assert sorted(made) == [200] + [409] * 5


def _status(desk: Desk) -> int:
    try:
        desk.ask("PUT", "only", text="one", ifVersion=0)
    except HTTPError as error:
        return error.code
    return 200
