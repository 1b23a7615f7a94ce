"""JSON payloads: what they say is found, as whoever said it."""

from typing import Any

import pytest

from innkeeper.services.memory.events.json_payload import spoken_in


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a line of a log", [("TOOL", "a line of a log")]),
        ({"role": "user", "content": "I moved."}, [("USER", "I moved.")]),
        (
            {"messages": [{"role": "USER", "content": "Hi."}, {"role": "tool", "content": ["Ho."]}]},
            [("USER", "Hi."), ("TOOL", "Ho.")],
        ),
        (
            [{"role": "user", "content": "Hi."}, {"page": "cart"}],
            [("TOOL", "role: user\ncontent: Hi.\npage: cart")],
        ),
        (
            {"event": "bought", "items": [{"name": "tea", "count": 2}, "cup"], "gift": True, "note": None},
            [("TOOL", "event: bought\nitems.name: tea\nitems.count: 2\nitems: cup")],
        ),
        ({"half": "a\0b\ud800"}, [("TOOL", "half: ab")]),
        ({"nothing": [None, True, {}]}, []),
        (None, []),
    ],
)  # fmt: skip
def test_what_json_says(content: Any, said: list[tuple[str, str]]) -> None:
    assert spoken_in(content) == said


def test_however_much_there_is(*, most: int = 100_000) -> None:
    deep: Any = "end"
    for _ in range(5000):
        deep = [deep]
    assert spoken_in({"deep": deep}) == [("TOOL", "deep: end")]
    ((_, text),) = spoken_in({"much": ["x" * 1000] * 1000})
    assert len(text) == most
