"""Points in time on the wire: epoch seconds, ISO 8601 and RFC 822 dates."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(value: object) -> datetime:
    """Whatever form it came in, aware and in UTC. Raises ValueError when it is no date."""
    try:
        if isinstance(value, datetime):
            return _aware(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _EPOCH + timedelta(seconds=value)
        if isinstance(value, str):
            return _parse_text(value)
    except (OverflowError, TypeError) as error:
        raise ValueError("no point in time that can be told") from error
    raise ValueError("not a date")


def _parse_text(text: str) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=float(text))
    except ValueError:
        pass
    try:
        return _aware(datetime.fromisoformat(text))
    except ValueError:
        return _aware(parsedate_to_datetime(text))


def _aware(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def epoch(value: object) -> int | float:
    """Seconds since 1970, whole when they are."""
    moment = parse(value) - _EPOCH
    whole = moment.days * 86_400 + moment.seconds
    return (whole * 1_000_000 + moment.microseconds) / 1_000_000 if moment.microseconds else whole


def iso8601(value: object) -> str:
    return parse(value).isoformat().replace("+00:00", "Z")


def rfc822(value: object) -> str:
    return format_datetime(parse(value), usegmt=True)


FORMATS: dict[str, Callable[[object], str | int | float]] = {
    "unixTimestamp": epoch,
    "iso8601": iso8601,
    "rfc822": rfc822,
}
