"""Extraction without a language model: what is kept of a conversation, and in which words."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.extraction.contract import ExtractorContract
from innkeeper.engines.extraction.extractive.extractive import Extractive
from innkeeper.engines.extraction.extractor import Extractor, Finding, Kind, Reading, Said


class TestExtractive(ExtractorContract):
    @pytest.fixture
    def extractor(self) -> Extractor:
        return Extractive()


MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def found(kind: Kind, *said: tuple[str, str]) -> Sequence[Finding]:
    turns = [Said(str(place), role, text, MONDAY) for place, (role, text) in enumerate(said)]
    return await Extractive().extract(Reading(kind, turns))


async def texts(kind: Kind, *said: tuple[str, str]) -> list[str]:
    return [one.text for one in await found(kind, *said)]


async def test_facts_are_kept_and_small_talk_is_not() -> None:
    kept = await texts(
        Kind.SEMANTIC,
        ("USER", "Hey, good morning! How are you? I started at Initech in May. Dr. Wu is my boss."),
        ("ASSISTANT", "Great! How can I help you today? I'm happy to assist."),
        ("USER", "Thanks. Can you translate this for me?"),
        ("ASSISTANT", "The Eiffel Tower was completed in 1889 and is 330 metres tall."),
        ("TOOL", '{"status": 200, "rows": [1, 2, 3]}'),
        ("USER", "你好!我下周三去上海出差。谢谢。你会说中文吗?"),
    )
    assert kept == [
        "I started at Initech in May.",
        "Dr. Wu is my boss.",
        "The Eiffel Tower was completed in 1889 and is 330 metres tall.",
        "我下周三去上海出差。",
    ]


async def test_preferences_are_those_of_the_user() -> None:
    kept = await texts(
        Kind.USER_PREFERENCE,
        ("USER", "I can\u2019t stand cilantro. My train leaves at nine. Please call me Al from now on!"),
        ("ASSISTANT", "I prefer short answers. Do you like tea?"),
        ("USER", "Do I like tea? I'd rather have coffee. 我对花生过敏,以后请用中文回答。我在银行工作。"),
        ("USER", "我最喜歡的顏色是藍色。"),
    )
    assert kept == [
        "I can\u2019t stand cilantro.",
        "Please call me Al from now on!",
        "I'd rather have coffee.",
        "我对花生过敏,以后请用中文回答。",
        "我最喜歡的顏色是藍色。",
    ]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("We met last Saturday in Porto.", "2026-02-28"),
        ("I leave for Rome tomorrow.", "2026-03-03"),
        ("We met Ann on 14 February.", "2026-02-14"),
        ("We met Ann on March 14th, 2025.", "2025-03-14"),
        ("My exam is on Friday.", "2026-03-06"),
        ("I bought the boat two weeks ago.", "2026-02-16"),
        ("I went home on December 30.", "2025-12-30"),
        ("我后天去北京出差。", "2026-03-04"),
        ("我们上周六在上海见面。", "2026-02-28"),
        ("我1月8日去了上海。", "2026-01-08"),
        ("The deadline for Apollo is 14 March.", "2026-03-02"),
        ("The 31st of February 2026 is what I said.", "2026-03-02"),
        ("I work for the city of Oslo.", "2026-03-02"),
    ],
)
async def test_a_finding_is_dated_by_the_day_it_speaks_of(text: str, day: str) -> None:
    (finding,) = await found(Kind.SEMANTIC, ("USER", text))
    assert f"{finding.at:%Y-%m-%d}" == day


async def test_an_episode_is_what_was_asked_done_and_said_in_the_end() -> None:
    first, second = await found(
        Kind.EPISODIC,
        ("USER", "Deploy the web shop."),
        ("TOOL", "build ok"),
        ("ASSISTANT", "Deployed version 12."),
        ("USER", "Now tell Ann."),
        ("ASSISTANT", "I sent her a message."),
    )
    assert first.text == "Asked: Deploy the web shop.\nDone: build ok\nEnded: Deployed version 12."
    assert (first.sources, second.sources) == (["0", "1", "2"], ["3", "4"])


async def test_a_digest_keeps_what_tells_most_within_its_budget() -> None:
    chatter = [("ASSISTANT", f"Sure, I can help you with that, number {place}!") for place in range(100)]
    (digest,) = await found(Kind.SUMMARY, *chatter, ("USER", "I moved to Lisbon on 4 May 2025."), *chatter)
    assert "[2026-03-02] USER: I moved to Lisbon on 4 May 2025." in digest.text.splitlines()
    assert len(digest.text) <= 2_000


@given(st.lists(st.text(st.sampled_from(" .!?。!?;\n\"'\u2019”I我的aZ9-*1,"), max_size=80), max_size=5))
async def test_a_finding_is_a_span_of_its_turn(said: list[str]) -> None:
    for kind in (Kind.SEMANTIC, Kind.USER_PREFERENCE):
        for one in await found(kind, *(("USER", f"I like {text} and my 3 cats. {text}") for text in said)):
            (source,) = map(int, one.sources)
            assert one.text in f"I like {said[source]} and my 3 cats. {said[source]}"
