"""What a scripted model says, in no provider's words."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Fault(Enum):
    """How an answer goes wrong on its way."""

    SILENT = auto()  # nothing ever comes
    CUT = auto()  # the connection is dropped in the middle
    UNFINISHED = auto()  # the answer ends properly, but in the middle
    GARBAGE = auto()  # what comes is not of the protocol


@dataclass(frozen=True)
class ToolCall:
    """`arguments` is JSON text, as the model wrote it."""

    name: str
    arguments: str = "{}"
    id: str = "call_1"


@dataclass(frozen=True)
class Says:
    """An answer; `stop` is in Converse's words, `input_tokens` without the cached ones."""

    text: str = ""
    reasoning: str = ""
    tools: tuple[ToolCall, ...] = ()
    stop: str = "end_turn"
    input_tokens: int = 10
    output_tokens: int = 5
    cached_tokens: int = 0
    fault: Fault | None = None

    def pieces(self, text: str) -> list[str]:
        """`text` in the two pieces that a stream brings."""
        half = len(text) // 2
        return [piece for piece in (text[:half], text[half:]) if piece]


@dataclass(frozen=True)
class Fails:
    """An error response with the provider's own error document."""

    status: int
    message: str = "it went wrong"


@dataclass(frozen=True)
class Raw:
    """A successful answer's body, byte for byte."""

    body: bytes


Answer = Says | Fails | Raw
Step = Answer | Callable[[dict[str, Any]], Answer]
"""A function answers by the body of the request."""
