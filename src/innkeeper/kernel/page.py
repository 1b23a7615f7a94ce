"""Pages of a list: opaque `nextToken`s that say after which key the next page begins."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from innkeeper.kernel.errors import FieldError, InvalidRequest

Item = TypeVar("Item")

DEFAULT_SIZE = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    items: Sequence[Item]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`after` holds the sort key of the last item already seen; empty for the first page."""

    size: int = DEFAULT_SIZE
    after: tuple[str, ...] = ()

    @classmethod
    def of(cls, max_results: int | None, next_token: str | None) -> "PageRequest":
        return cls(max_results or DEFAULT_SIZE, _decode(next_token) if next_token else ())

    def page(
        self, rows: Sequence[Item], key: Callable[[Item], tuple[str, ...]], room: int | None = None
    ) -> Page[Item]:
        """Cut `rows`, of which the query fetched `size + 1`, into a page with its token; of no more than
        `room` items, where fewer fit."""
        most = self.size if room is None else min(self.size, room)
        if len(rows) <= most:
            return Page(rows)
        return Page(rows[:most], _encode(key(rows[most - 1])))


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


def _encode(key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(token: str) -> tuple[str, ...]:
    try:
        key = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _invalid_token() from error
    if not isinstance(key, list) or not all(isinstance(part, str) for part in key):
        raise _invalid_token()
    return tuple(key)


def _invalid_token() -> InvalidRequest:
    message = "nextToken is not one that this operation gave out"
    return InvalidRequest(message, (FieldError("nextToken", message),))
