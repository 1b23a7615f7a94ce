"""What a JSON payload says: messages, where it holds nothing else; or the texts in it, each with its key.

AgentCore keeps there "behavioral events, activity logs, or system events": the word of a program, not of the
person, and so of the role TOOL.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from innkeeper.kernel.text import storable
from innkeeper.services.memory.events.envelopes import TOOL

_ROLES = {"user": "USER", "assistant": "ASSISTANT", "tool": TOOL}
# As many as an event may have of others, and as long as they may be. What is beyond stays in the event alone.
_MESSAGES_MAX = 100
_CHARACTERS_MAX = 100_000

Spoken = tuple[str, str]
"""Role and words."""


def spoken_in(content: Any) -> list[Spoken]:
    """`content` is any JSON value."""
    if isinstance(content, str):
        return _bounded([(TOOL, content)])
    listed = content.get("messages") if isinstance(content, dict) else content
    messages = listed if isinstance(listed, list) else [content]
    said = [_message(one) for one in messages[:_MESSAGES_MAX]]
    whole = [one for one in said if one is not None]
    if whole and len(whole) == len(messages):
        return _bounded(whole)
    return _bounded([(TOOL, "\n".join(_lines(content)))])


def _message(value: Any) -> Spoken | None:
    if not isinstance(value, dict) or not isinstance(value.get("role"), str):
        return None
    role, content = _ROLES.get(value["role"].lower()), value.get("content")
    blocks = content if isinstance(content, list) else [content]
    texts = [one.get("text") if isinstance(one, dict) else one for one in blocks]
    words = [one for one in texts if isinstance(one, str)]
    return (role, "\n".join(words)) if role is not None and len(words) == len(texts) else None


def _lines(content: Any) -> Iterator[str]:
    """Each text and number, in order, after the keys that lead to it, as far as there is room."""
    left: list[tuple[str, Any]] = [("", content)]
    room = _CHARACTERS_MAX
    while left and room > 0:
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{name}.{key}" if name else key, one) for key, one in reversed(value.items())]
        elif isinstance(value, list):
            left += [(name, one) for one in reversed(value)]
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            line = f"{name}: {value}" if name else str(value)
            room -= len(line) + 1
            yield line


def _bounded(said: Sequence[Spoken]) -> list[Spoken]:
    short = ((role, text[:_CHARACTERS_MAX]) for role, text in said)
    kept = ((role, text if storable(text) else "".join(filter(storable, text))) for role, text in short)
    return [(role, text) for role, text in kept if text.strip()]
