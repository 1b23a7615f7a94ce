"""The time that a sentence speaks of: `last Saturday`, `8 May 2023`, 明天."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CHINESE_DAYS = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6}
_MONTHS = {
    name: place
    for place, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_NUMBERS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "few": 3,
    "couple": 2,
    "couple of": 2,
    "一": 1,
    "两": 2,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
    "十": 10,
}
_UNITS = {
    "day": 1,
    "week": 7,
    "month": 30,
    "year": 365,
    "天": 1,
    "周": 7,
    "个星期": 7,
    "个月": 30,
    "月": 30,
    "年": 365,
}
_NEAR = {
    "yesterday": -1,
    "last night": -1,
    "tomorrow": 1,
    "昨天": -1,
    "昨晚": -1,
    "前天": -2,
    "明天": 1,
    "后天": 2,
    "last week": -7,
    "next week": 7,
    "上周": -7,
    "上个星期": -7,
    "下周": 7,
    "last month": -30,
    "next month": 30,
    "上个月": -30,
    "下个月": 30,
    "last year": -365,
    "next year": 365,
    "去年": -365,
    "明年": 365,
    "the day before yesterday": -2,
    "the day after tomorrow": 2,
}

_MONTH = r"(jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_COUNT = "(\\d{1,3}|" + "|".join(sorted((n for n in _NUMBERS if n.isascii()), key=len, reverse=True)) + ")"

Reader = Callable[[re.Match[str], datetime], datetime]


def moment(text: str, said: datetime) -> datetime:
    """When what is told happens; `said` when the sentence names no day, or one that no calendar has."""
    for pattern, read in _READERS:
        if found := pattern.search(text):
            try:
                return read(found, said)
            except (ValueError, OverflowError):
                return said
    return said


def _iso(found: re.Match[str], said: datetime) -> datetime:
    return said.replace(year=int(found[1]), month=int(found[2]), day=int(found[3]))


def _day_month(found: re.Match[str], said: datetime) -> datetime:
    return _on(said, found[3], _MONTHS[found[2][:3].lower()], int(found[1]))


def _month_day(found: re.Match[str], said: datetime) -> datetime:
    return _on(said, found[3], _MONTHS[found[1][:3].lower()], int(found[2]))


def _chinese_day(found: re.Match[str], said: datetime) -> datetime:
    return _on(said, found[1], int(found[2]), int(found[3]))


def _on(said: datetime, year: str | None, month: int, day: int) -> datetime:
    """Without a year: in the one that is nearest."""
    if year:
        return said.replace(year=int(year), month=month, day=day)
    near = [said.replace(year=said.year + off, month=month, day=day) for off in (-1, 0, 1)]
    return min(near, key=lambda one: abs(one - said))


def _ago(found: re.Match[str], said: datetime) -> datetime:
    return said - _span(found[1], found[2])


def _ahead(found: re.Match[str], said: datetime) -> datetime:
    return said + _span(found[1], found[2])


def _span(count: str, unit: str) -> timedelta:
    number = int(count) if count.isdecimal() else _NUMBERS[count.lower()]
    return timedelta(days=number * _UNITS[unit.lower()])


def _weekday(found: re.Match[str], said: datetime) -> datetime:
    return _to_day(said, _DAYS.index(found[2].lower()), (found[1] or "").lower())


def _chinese_weekday(found: re.Match[str], said: datetime) -> datetime:
    back = said - timedelta(days=said.weekday())
    weeks = {"上": -7, "下": 7}.get(found[1] or "", 0)
    return back + timedelta(days=weeks + _CHINESE_DAYS[found[2]])


def _to_day(said: datetime, day: int, which: str) -> datetime:
    ahead = (day - said.weekday()) % 7
    if which == "last":
        return said - timedelta(days=(said.weekday() - day) % 7 or 7)
    return said + timedelta(days=ahead or (7 if which == "next" else 0))


def _near(found: re.Match[str], said: datetime) -> datetime:
    return said + timedelta(days=_NEAR[found[0].lower()])


_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b"), _iso),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? (\d{{4}}))?(?!\w)", re.I), _day_month),
    (re.compile(rf"\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (\d{{4}}))?", re.I), _month_day),
    (re.compile(r"(?:(\d{4})年)?(\d{1,2})月(\d{1,2})[日号]"), _chinese_day),
    (re.compile(rf"\b{_COUNT} (day|week|month|year)s? ago\b", re.I), _ago),
    (re.compile(r"(\d{1,3}|[一二两三四五六七八九十])(天|周|个星期|个月|年)(?:以)?前"), _ago),
    (re.compile(rf"\bin {_COUNT} (day|week|month|year)s?\b", re.I), _ahead),
    (re.compile(r"(\d{1,3}|[一二两三四五六七八九十])(天|周|个星期|个月|年)(?:以)?后"), _ahead),
    (re.compile(rf"\b(?:(last|next|this|on) )({'|'.join(_DAYS)})\b", re.I), _weekday),
    (re.compile(r"([上下这本])?个?(?:周|星期|礼拜)([一二三四五六日天])"), _chinese_weekday),
    (
        re.compile(
            "|".join(rf"\b{one}\b" if one.isascii() else one for one in sorted(_NEAR, key=len, reverse=True)),
            re.I,
        ),
        _near,
    ),
)
