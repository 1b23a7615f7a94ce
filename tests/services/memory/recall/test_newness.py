"""Of two words about the same of which neither is over by any rule, the later one comes first."""

from dataclasses import replace
from datetime import timedelta

from innkeeper.engines.search.ranking import Found
from innkeeper.services.memory.recall.hit import Hit
from innkeeper.services.memory.recall.newness import newer_first, once_each
from innkeeper.services.memory.records.model import Record
from tests.services.memory.remembering import NOON


def hit(text: str, score: float, days_ago: int, namespace: str = "/ann/") -> Hit[Record]:
    at = NOON - timedelta(days=days_ago)
    record = Record("1", "m", text, namespace, "", text, {}, at, at, at, at)
    return Hit(record, Found(1, score, score, 0, 0, 0, 0, 0))


def order(*hits: Hit[Record]) -> list[str]:
    found = newer_first(hits)
    assert [one.relevance for one in found] == sorted((one.relevance for one in found), reverse=True)
    return [one.item.text for one in found]


ANNEX, FLOOR, LAMP = "My desk is in the annex.", "My desk is on the third floor.", "I bought a lamp."


def test_the_newer_of_two_like_records_goes_first_and_only_before_that_one() -> None:
    assert order(hit(LAMP, 1.3, 3), hit(ANNEX, 1.2, 2), hit(FLOOR, 1.0, 1)) == [LAMP, FLOOR, ANNEX]
    assert order(hit(ANNEX, 1.2, 2), hit(LAMP, 1.1, 0), hit(FLOOR, 1.0, 1)) == [FLOOR, ANNEX, LAMP]


def test_a_far_better_answer_an_older_word_and_another_namespace_stay_where_they_are() -> None:
    assert order(hit(ANNEX, 1.2, 2), hit(FLOOR, 0.8, 1)) == [ANNEX, FLOOR]
    assert order(hit(FLOOR, 1.2, 1), hit(ANNEX, 1.0, 2)) == [FLOOR, ANNEX]
    assert order(hit(ANNEX, 1.2, 2), hit(FLOOR, 1.0, 1, "/bob/")) == [ANNEX, FLOOR]


def test_what_two_strategies_learned_from_the_same_words_counts_once() -> None:
    def learned(score: float, *events: str) -> Hit[Record]:
        found = hit(LAMP, score, 1)
        return replace(found, item=replace(found.item, record_id=str(score), source_event_ids=list(events)))

    best, same, later, by_hand = learned(1.4, "e1"), learned(1.3, "e1"), learned(1.2, "e2"), learned(1.1)
    assert once_each([best, same, later, by_hand]) == [best, later, by_hand]
