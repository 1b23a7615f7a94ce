"""Days that a text names, and whether the turns that it rests on can have meant them."""

import calendar
import re
from collections.abc import Iterator, Sequence
from datetime import date

from innkeeper.engines.extraction.extractor import Said

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATES = (
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})\b"),
    re.compile(
        rf"\b(?P<m>{_MONTH})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<y>\d{{4}}))?\b", re.IGNORECASE
    ),
    re.compile(
        rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)? (?P<m>{_MONTH})\.?(?:,? (?P<y>\d{{4}}))?\b", re.IGNORECASE
    ),
    re.compile(r"(?:(?P<y>\d{4})年)?(?P<m>\d{1,2})月(?P<d>\d{1,2})[日号]"),
)
_RELATIVE = re.compile(
    r"\b(today|tonight|yesterday|tomorrow|ago|last|next|this|since|in|for"
    r"|(mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|weeks?|months?|years?|days?|weekend|now|just|recently)\b"
    r"|今[天晚年日]|昨[天晚日]|明[天晚年日]|[前后]天|去年|前年|后年|[上下这本]个?(周|星期|礼拜|月)|周[一二三四五六日天末]"
    r"|星期|礼拜|刚|[天周月年](前|后|以?来)",
    re.IGNORECASE,
)
_MOST_DAYS = 400
DATE_WORDS = frozenset(
    [*_MONTHS, *(name.lower() for name in calendar.day_name), *(name.lower() for name in calendar.day_abbr)]
)


def without_meant_dates(text: str, turns: Sequence[Said]) -> str:
    """The text without the days that the turns can have meant: their own, and those that words such as
    "yesterday" or "next Friday" lead to."""
    for expression in _DATES:
        text = expression.sub(lambda match: "" if _meant(match, turns) else match[0], text)
    return text


def meant_years(turns: Sequence[Said], numbers: Iterator[str] | frozenset[str]) -> set[str]:
    """The years that the turns can have meant: "two years ago"."""
    spans = {int(number) for number in numbers if len(number) < 3}
    years: set[int] = set()
    for turn in turns:
        years.add(turn.at.year)
        if _RELATIVE.search(turn.text):
            years |= {turn.at.year + sign * span for span in spans | {1} for sign in (-1, 1)}
    return {str(year) for year in years}


def day_meant(day: date, turns: Sequence[Said]) -> bool:
    """A day may be that of a turn, or one not too far from it if the turn speaks of time."""
    for turn in turns:
        days = abs((day - turn.at.date()).days)
        if days == 0 or (days <= _MOST_DAYS and _RELATIVE.search(turn.text)):
            return True
    return False


def _meant(match: re.Match[str], turns: Sequence[Said]) -> bool:
    month = match["m"].lower()
    try:
        number = _MONTHS.get(month) or int(month)
        years = {int(match["y"])} if match["y"] else {turn.at.year for turn in turns}
        return any(day_meant(date(year, number, int(match["d"])), turns) for year in years)
    except ValueError:
        return False
