"""Pages of a list: opaque `nextToken`s that say after which key the next page begins."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from innkeeper.kernel.errors import FieldError, InvalidRequest
from innkeeper.kernel.text import storable

Item = TypeVar("Item")

DEFAULT_SIZE = 100
_PARENT_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    items: Sequence[Item]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`token` came with the page before; None for the first page."""

    size: int = DEFAULT_SIZE
    token: str | None = None

    @classmethod
    def of(cls, max_results: int | None, next_token: str | None) -> "PageRequest":
        return cls(max_results or DEFAULT_SIZE, next_token or None)


class Cursor:
    """The way through one list. Its tokens are of use to it alone.

    `name` is no other list's, and `of` tells those of several parents apart; `parts` are the types of the key
    that the list is in the order of: str, int (0 or more) or datetime (aware).
    """

    def __init__(self, name: str, *parts: type[str] | type[int] | type[datetime]) -> None:
        self._name = name
        self._parts = parts

    def of(self, *parent: str) -> "Cursor":
        """The way through the list of what belongs to one parent, such as an account and a memory's id."""
        digest = hashlib.sha256(json.dumps(parent).encode()).hexdigest()[:_PARENT_DIGITS]
        return Cursor(f"{self._name} {digest}", *self._parts)

    def after(self, page: PageRequest) -> Any:
        """The key of the last item already seen, as a tuple; None for the first page. Raises InvalidRequest
        for what is no token of this list."""
        if page.token is None:
            return None
        try:
            name, *key = _decoded(page.token)
            if name != self._name:
                raise ValueError(name)
            return tuple(_READ[kind](part) for kind, part in zip(self._parts, key, strict=True))
        except (ValueError, OverflowError, RecursionError) as error:
            message = "nextToken is not one that this operation gave out"
            raise InvalidRequest(message, (FieldError("nextToken", message),)) from error

    def page(
        self,
        asked: PageRequest,
        rows: Sequence[Item],
        key: Callable[[Item], tuple[str | int | datetime, ...]],
        room: int | None = None,
    ) -> Page[Item]:
        """Cut `rows`, of which the query fetched `size + 1`, into a page with its token; of no more than
        `room` items, where fewer fit."""
        most = asked.size if room is None else min(asked.size, room)
        if len(rows) <= most:
            return Page(rows)
        parts = (one.isoformat() if isinstance(one, datetime) else str(one) for one in key(rows[most - 1]))
        return Page(rows[:most], _encoded([self._name, *parts]))


def fitting(sizes: Iterable[int], most: int) -> int:
    """How many items of these sizes, in their order, are no larger than `most` together; the first one
    always fits."""
    count = total = 0
    for size in sizes:
        total += size
        if count and total > most:
            break
        count += 1
    return count


def _encoded(words: Sequence[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(words).encode()).decode().rstrip("=")


def _decoded(token: str) -> list[str]:
    """Raises ValueError, RecursionError."""
    try:
        words = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except binascii.Error as error:
        raise ValueError(token) from error
    if not isinstance(words, list) or not all(isinstance(one, str) for one in words):
        raise ValueError(token)
    return words


def _text(part: str) -> str:
    """What a database can be asked for."""
    if not storable(part):
        raise ValueError(part)
    return part


def _number(part: str) -> int:
    number = int(part)
    if not 0 <= number < 1 << 63:
        raise ValueError(part)
    return number


def _moment(part: str) -> datetime:
    moment = datetime.fromisoformat(part)
    if moment.tzinfo is None:
        raise ValueError(part)
    return moment


_READ: dict[type, Callable[[str], Any]] = {str: _text, int: _number, datetime: _moment}
