"""The Vetting protocol: does a text that is about to be remembered try to steer the agent?"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Voice(StrEnum):
    """Who said it. What came from a tool or the web speaks with the tool's voice."""

    USER = "USER"
    ASSISTANT = "ASSISTANT"
    TOOL = "TOOL"


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    voice: Voice


@dataclass(frozen=True, slots=True)
class Judgement:
    """`score` is 0 for nothing suspicious to 1; `signs` are names of what was found, the weightiest first."""

    score: float
    signs: tuple[str, ...] = ()


class Vetting(Protocol):
    async def judge(self, statements: Sequence[Statement]) -> Sequence[Judgement]:
        """One for each, in order. Raises kernel.errors.Unavailable when it cannot judge now."""
        ...

    async def close(self) -> None: ...
