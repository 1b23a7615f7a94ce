"""Filters over the metadata of records: what each operator means, for all values."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.memory.records.metadata import check_filters, matches

NUMBERS = st.floats(allow_nan=False)
TIMES = st.datetimes(timezones=st.just(UTC))
WORDS = st.text("ab", max_size=3)
VALUES = st.one_of(
    NUMBERS.map(lambda one: {"numberValue": one}),
    TIMES.map(lambda one: {"dateTimeValue": one}),
    WORDS.map(lambda one: {"stringValue": one}),
    st.lists(WORDS, max_size=3).map(lambda one: {"stringListValue": one}),
)


def holds(left: dict[str, Any] | None, operator: str, right: dict[str, Any] | None = None) -> bool:
    expression: dict[str, Any] = {"left": {"metadataKey": "key"}, "operator": operator}
    if right is not None:
        expression["right"] = {"metadataValue": right}
    check_filters([expression])
    return matches({} if left is None else {"key": left}, [expression])


@given(NUMBERS, NUMBERS)
def test_numbers_are_ordered(left: float, right: float) -> None:
    one, other = {"numberValue": left}, {"numberValue": right}
    assert holds(one, "GREATER_THAN", other) == (left > right)
    assert holds(one, "GREATER_THAN_OR_EQUALS", other) == (left >= right)
    assert holds(one, "LESS_THAN", other) == (left < right)
    assert holds(one, "LESS_THAN_OR_EQUALS", other) == (left <= right)


@given(TIMES, TIMES)
def test_times_are_ordered(left: datetime, right: datetime) -> None:
    one, other = {"dateTimeValue": left}, {"dateTimeValue": right}
    assert holds(one, "BEFORE", other) == (left < right)
    assert holds(one, "AFTER", other) == (left > right)


@given(VALUES, VALUES)
def test_values_equal_only_their_like(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert holds(left, "EQUALS_TO", right) == (left == right)
    assert holds(left, "EQUALS_TO", left)


@given(st.lists(WORDS, max_size=3), st.lists(WORDS, min_size=1, max_size=3))
def test_a_list_contains_its_items(items: list[str], wanted: list[str]) -> None:
    assert holds({"stringListValue": items}, "CONTAINS", {"stringListValue": wanted}) == (
        set(wanted) <= set(items)
    )
    assert holds({"stringListValue": items}, "CONTAINS", {"stringValue": wanted[0]}) == (wanted[0] in items)
    assert holds({"stringValue": "abab"}, "CONTAINS", {"stringValue": "ba"})


@given(st.none() | VALUES, VALUES)
def test_a_missing_value_only_fails_to_exist(value: dict[str, Any] | None, other: dict[str, Any]) -> None:
    assert holds(value, "EXISTS") == (value is not None) != holds(value, "NOT_EXISTS")
    assert not holds(None, "EQUALS_TO", other)


@given(VALUES)
def test_a_value_of_another_type_passes_no_comparison(value: dict[str, Any]) -> None:
    if "numberValue" not in value:
        assert not holds(value, "GREATER_THAN_OR_EQUALS", {"numberValue": 0.0})
    if "dateTimeValue" not in value:
        assert not holds(value, "AFTER", {"dateTimeValue": datetime(1, 1, 1, tzinfo=UTC)})


@pytest.mark.parametrize(
    ("operator", "right"),
    [
        ("EQUALS_TO", None),
        ("BEFORE", {"numberValue": 1.0}),
        ("CONTAINS", {"numberValue": 1.0}),
        ("LESS_THAN", {}),
    ],
)
def test_what_cannot_be_compared_is_refused(operator: str, right: dict[str, Any] | None) -> None:
    with pytest.raises(InvalidRequest, match=f"{operator} needs"):
        holds(None, operator, right)
