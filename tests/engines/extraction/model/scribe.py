"""What a scripted model says of a conversation, and one that does as it is asked."""

import json
import re
from typing import Any

from tests.engines.models.scripted.script import Says, ToolCall


def reports(*findings: dict[str, Any], **members: Any) -> Says:
    """These findings, by the tool; what else it says besides."""
    return calls({"findings": list(findings)}, **members)


def finds(text: str, *sources: str, **members: Any) -> dict[str, Any]:
    return {"text": text, "sources": list(sources), **members}


def judges(action: str, *replaces: str) -> Says:
    return calls({"action": action, "replaces": list(replaces)})


def calls(arguments: Any, **members: Any) -> Says:
    return Says(tools=(ToolCall("report", json.dumps(arguments)),), stop="tool_use", **members)


def diligent(body: dict[str, Any]) -> Says:
    """Keeps the first sentences of the user, and judges by the letter."""
    told, data = asked(body)
    if "<finding>" in data:
        return judges("ADD")
    turns = lines(data, "turns")
    own = [one for one in turns if one["role"] == "USER"] or turns
    findings = [
        finds(text.strip()[:200], one["id"])
        for one in own
        for text in re.split(r"(?<=[.!?。])\s*", one["text"])
        if any(map(str.isalnum, text))
    ]
    if "exactly one finding" in told:
        return reports(finds("\n".join(f"- {one['text']}" for one in findings[:20])))
    return reports(*findings[:20])


def asked(body: dict[str, Any]) -> tuple[str, str]:
    """The rules and the data of a request in OpenAI's protocol."""
    system, user = body["messages"]
    return system["content"], user["content"]


def lines(data: str, block: str) -> list[dict[str, Any]]:
    """The documents of a block."""
    found = re.search(rf"^<{block}>\n(.*?)\n</{block}>$", data, re.MULTILINE | re.DOTALL)
    return [json.loads(line) for line in found[1].split("\n")] if found else []
