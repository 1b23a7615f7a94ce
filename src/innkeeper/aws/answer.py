"""One HTTP answer, before it is sent."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is sent whole, or each chunk as soon as the iterator gives it. Header names are lower case."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""


async def close(stream: AsyncIterator[Any]) -> None:
    """Ends an iterator early, where it has something to end."""
    if aclose := getattr(stream, "aclose", None):
        await aclose()
