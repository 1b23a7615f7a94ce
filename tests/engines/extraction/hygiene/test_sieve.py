"""What is told apart before anything is learned from a conversation, and that nothing new is lost by it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.extraction.contract import HOSTILE
from innkeeper.engines.extraction.extractor import Kind, Reading, Said
from innkeeper.engines.extraction.hygiene.sieve import EMPTY, MEMORY, NOISE, PROMPT, REPEATED, sift

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def sifted(role: str, text: str, *before: tuple[str, str], kind: Kind = Kind.SEMANTIC) -> tuple[str, str]:
    """What is left of a turn, and why the rest is gone."""
    earlier = [Said(f"b{place}", *one, NOW) for place, one in enumerate(before)]
    reading = sift(Reading(kind, [Said("a", role, text, NOW)], before=earlier))
    return "\n".join(turn.text for turn in reading.turns), ", ".join(reading.dropped)


@pytest.mark.parametrize(
    ("role", "text", "reason"),
    [
        ("USER", "You are a helpful assistant. Always answer in JSON. Never make up facts.", PROMPT),
        ("ASSISTANT", "As an AI language model, I must follow my guidelines.", PROMPT),
        ("OTHER", "你是一个乐于助人的助手。回答不超过三句话。", PROMPT),
        ("ASSISTANT", "I remember that you live in Oslo.", MEMORY),
        ("ASSISTANT", "Your sister is called Ana.", MEMORY),
        ("ASSISTANT", "我记得你住在杭州。", MEMORY),
        ("TOOL", '{"memories": ["I live in Oslo."]}', MEMORY),
        ("TOOL", 'Traceback (most recent call last):\n  File "a.py", line 3\nValueError: 7', NOISE),
        ("USER", "Ok, thanks a lot!", EMPTY),
        ("USER", "好的。谢谢!", EMPTY),
    ],
)
def test_junk_is_dropped_for_a_reason(role: str, text: str, reason: str) -> None:
    assert sifted(role, text) == ("", reason)


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("USER", "Always reply in French, and call me Al."),
        ("USER", "You are right: my doctor told me to avoid salt."),
        ("USER", "I was told to renew my passport.\n\nThe relevant form is at the embassy."),
        ("USER", "My notes about the trip: the ferry leaves at 9:15.\nWe meet at the pier."),
        ("USER", "I remember that I left my keys in Oslo."),
        ("ASSISTANT", "Your booking reference is XK42."),
        ("ASSISTANT", "The Eiffel Tower was completed in 1889."),
        ("USER", "以后请用中文回答。"),
    ],
)
def test_what_is_news_stays_as_it_is(role: str, text: str) -> None:
    assert sifted(role, text) == (text, "")


@pytest.mark.parametrize(
    "frame",
    [
        "Relevant memories:\n- I live in Oslo.\n- I like tea.\n\n{}",
        "<memory>\nI live in Oslo.\n\nI like tea.\n</memory>\n{}",
        "[Recalled context]\n1. I live in Oslo.\n[/Recalled context]\nUser message: {}",
        "## What you know about me\n* I live in Oslo.\n\n## Message\n{}",
        "相关记忆:\n- 我住在杭州。\n\n用户说:{}",
    ],
)
def test_a_new_fact_survives_between_memories(frame: str) -> None:
    assert sifted("USER", frame.format("My cat is called Tom.")) == ("My cat is called Tom.", MEMORY)


def test_an_assistant_that_repeats_what_was_said_says_nothing_new() -> None:
    before = ("USER", "The deadline for Apollo is March 14. It is raining.")
    text = "Noted: the Apollo deadline is March 14. The Apollo team has nine members."
    assert sifted("ASSISTANT", text, before) == ("The Apollo team has nine members.", MEMORY)
    assert sifted("USER", before[1], ("USER", before[1]), ("ASSISTANT", "Hm?")) == ("", REPEATED)
    assert sifted("USER", before[1], ("USER", before[1]), ("USER", "Or not?")) == (before[1], "")


def test_an_episode_keeps_what_tools_did() -> None:
    text = "2026-03-02T09:00:00Z INFO deployed version 12"
    assert sifted("TOOL", text, kind=Kind.EPISODIC) == (text, "")
    assert sifted("TOOL", text) == ("", NOISE)


@given(
    st.sampled_from(["USER", "ASSISTANT", "TOOL", "OTHER"]), st.sampled_from(HOSTILE), st.text(max_size=200)
)
def test_nothing_is_invented(role: str, hostile: str, text: str) -> None:
    left, _ = sifted(role, f"{text}\n{hostile}")
    assert all(line in f"{text}\n{hostile}" for line in left.split("\n"))
