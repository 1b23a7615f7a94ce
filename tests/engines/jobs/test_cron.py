"""Cron lines."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.jobs.cron import Cron

NOON = datetime(2024, 2, 28, 12, 0, 0, tzinfo=UTC)  # a Wednesday of a leap year


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("* * * * *", "2024-02-28 12:01:00"),
        ("* * * * * *", "2024-02-28 12:00:01"),
        ("*/20 5 * * * *", "2024-02-28 12:05:00"),
        ("*/15 * * * *", "2024-02-28 12:15:00"),
        ("0 12 * * *", "2024-02-29 12:00:00"),
        ("30 9-11,14 * * *", "2024-02-28 14:30:00"),
        ("0 0 29 2 *", "2024-02-29 00:00:00"),
        ("0 0 31 * *", "2024-03-31 00:00:00"),
        ("0 0 * * sun", "2024-03-03 00:00:00"),
        ("0 0 * * 7", "2024-03-03 00:00:00"),
        ("0 0 * * mon-fri", "2024-02-29 00:00:00"),
        ("0 0 1 jan *", "2025-01-01 00:00:00"),
        ("0 0 10 * fri", "2024-03-01 00:00:00"),
        ("10-50/20 * * * *", "2024-02-28 12:10:00"),
    ],
)
def test_the_next_time_of_a_line(line: str, due: str) -> None:
    assert Cron.parse(line).next_after(NOON) == datetime.fromisoformat(f"{due}+00:00")


def test_a_leap_day_is_waited_for() -> None:
    after = datetime(2096, 3, 1, tzinfo=UTC)
    assert Cron.parse("0 0 29 2 *").next_after(after) == datetime(2104, 2, 29, tzinfo=UTC)


def test_any_time_zone_is_taken_and_utc_is_given() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    due = Cron.parse("0 * * * *").next_after(NOON.astimezone(india))
    assert due == NOON + timedelta(hours=1)
    assert due.tzinfo is UTC


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "5 fields"),
        ("* * * *", "not 4"),
        ("60 * * * *", "0 to 59"),
        ("* 24 * * *", "0 to 23"),
        ("* * 0 * *", "1 to 31"),
        ("* * * 13 *", "1 to 12"),
        ("* * * * 8", "0 to 7"),
        ("* * * foo *", "'foo'"),
        ("5-1 * * * *", "no range"),
        ("5/2 * * * *", "no range"),
        ("*/0 * * * *", "1 to 59"),
        ("*/ * * * *", "''"),
        ("1,,2 * * * *", "''"),
        ("1- * * * *", "''"),
        ("-1 * * * *", "''"),
        ("٣ * * * *", "no number"),
        ("0 0 30 2 *", "never comes"),
    ],
)
def test_a_line_that_is_wrong_is_refused_by_name(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Cron.parse(line)


@given(st.text(alphabet="0123456789*/,- jansu", max_size=30))
def test_any_text_is_a_line_or_a_value_error(line: str) -> None:
    try:
        due = Cron.parse(line).next_after(NOON)
    except ValueError:
        return
    assert due > NOON


@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    start=st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2030-01-01")),
)
def test_no_time_is_skipped(minutes: set[int], hours: set[int], start: datetime) -> None:
    line = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    moment = start.replace(tzinfo=UTC)
    minute = moment.replace(second=0, microsecond=0)
    expected = next(
        time
        for time in (minute + timedelta(minutes=number) for number in range(1, 2 * 24 * 60))
        if time.minute in minutes and time.hour in hours
    )
    assert Cron.parse(line).next_after(moment) == expected
