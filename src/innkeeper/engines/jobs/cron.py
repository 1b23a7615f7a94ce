"""Cron lines: `minute hour day-of-month month day-of-week`, in UTC.

As in crontab(5): each field is `*` or a list of numbers and ranges, either with a step (`*/15`, `1-5`,
`mon,wed`); Sunday is 0 and 7; where both day fields are given, a day of either kind will do. A sixth field
in front gives seconds.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# The longest wait for a day that exists: from one 29 February over a year like 2100 to the next.
_HORIZON = timedelta(days=8 * 366)


@dataclass(frozen=True, slots=True)
class Cron:
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    @classmethod
    def parse(cls, line: str) -> "Cron":
        """Raises ValueError, naming the part that is wrong; also for a day that never comes."""
        fields = line.lower().split()
        if len(fields) == 5:
            fields.insert(0, "0")
        if len(fields) != 6:
            raise ValueError(
                f"a cron line has 5 fields, or 6 with seconds first, not {len(fields)}: {line!r}"
            )
        second, minute, hour, day, month, weekday = fields
        cron = cls(
            _field(second, 0, 59),
            _field(minute, 0, 59),
            _field(hour, 0, 23),
            _field(day, 1, 31),
            _field(month, 1, 12, _MONTHS),
            frozenset(number % 7 for number in _field(weekday, 0, 7, _DAYS)),
            "*" not in (day, weekday),
        )
        cron.next_after(datetime(2000, 1, 1, tzinfo=UTC))
        return cron

    def next_after(self, moment: datetime) -> datetime:
        """The first time of the line after an aware `moment`, in UTC."""
        time = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        end = time + _HORIZON
        while time < end:
            midnight = time.replace(hour=0, minute=0, second=0)
            if time.month not in self.months:
                time = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
            elif not self._on(time):
                time = midnight + timedelta(days=1)
            elif time.hour not in self.hours:
                time = time.replace(minute=0, second=0) + timedelta(hours=1)
            elif time.minute not in self.minutes:
                time = time.replace(second=0) + timedelta(minutes=1)
            elif time.second not in self.seconds:
                time += timedelta(seconds=1)
            else:
                return time
        raise ValueError("the cron line names a day that never comes")

    def _on(self, time: datetime) -> bool:
        by_date, by_weekday = time.day in self.days, time.isoweekday() % 7 in self.weekdays
        return (by_date or by_weekday) if self.either_day else (by_date and by_weekday)


def _field(text: str, low: int, high: int, names: list[str] | None = None) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        begin = low if span == "*" else _number(first, low, high, names)
        end = high if span == "*" else _number(last, low, high, names) if dash else begin
        if end < begin or (step and (span != "*" and not dash)):
            raise ValueError(f"{part!r} is no range of a cron line")
        numbers.update(range(begin, end + 1, _number(step, 1, high) if "/" in part else 1))
    return frozenset(numbers)


def _number(text: str, low: int, high: int, names: list[str] | None = None) -> int:
    if names and text in names:
        return names.index(text) + low
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise ValueError(f"{text!r} in a cron line is no number from {low} to {high}")
    return int(text)
