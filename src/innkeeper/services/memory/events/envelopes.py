"""What was said, out of the JSON that some frameworks put into a message's text.

Strands' session manager writes whole messages there, of Bedrock or of OpenAI, to read them back as they were.
The event keeps them so; what is searched and learned from are the words alone.
"""

import json
from collections.abc import Iterator
from typing import Any

from innkeeper.kernel.text import storable

TOOL = "TOOL"


def spoken(role: str, text: str) -> tuple[str, str]:
    """Role and words. What a tool gave back is no user's word, though it comes as a user's message; a message
    without words, or in no such form, stays as it is."""
    if (message := _message(text)) is None:
        return role, text
    content = message["content"]
    if message["role"] == "tool":
        role = TOOL
    if isinstance(content, str):
        words = content
    else:
        words = "\n".join(_texts(content))
        if not words and (words := "\n".join(_results(content))):
            role = TOOL
    return (role, words) if words.strip() and storable(words) else (role, text)


def _message(text: str) -> dict[str, Any] | None:
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    message = document.get("message", document)
    if not (isinstance(message, dict) and message.get("role") in ("user", "assistant", "tool", "system")):
        return None
    return message if isinstance(message.get("content"), str | list) else None


def _texts(blocks: list[Any]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, dict) and isinstance(block.get("text"), str) and block["text"].strip():
            yield block["text"]


def _results(blocks: list[Any]) -> Iterator[str]:
    for block in blocks:
        result = block.get("toolResult") if isinstance(block, dict) else None
        if isinstance(result, dict) and isinstance(result.get("content"), list):
            yield from _texts(result["content"])
            yield from (json.dumps(one["json"]) for one in result["content"] if _has_json(one))


def _has_json(block: Any) -> bool:
    return isinstance(block, dict) and "json" in block
