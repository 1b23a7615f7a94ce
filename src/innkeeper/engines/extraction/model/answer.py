"""What a model has to answer, and how its answer is read."""

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from innkeeper.engines.extraction.extractor import Action, Known, Wanted

Document = dict[str, Any]

_REFUSED = frozenset({"content_filtered", "guardrail_intervened"})
_REFUSAL = re.compile(
    r"\s*(i['\u2019]m (very )?sorry|sorry\b|i can(no|['\u2019])t|i am (unable|not able)|i won['\u2019]t"
    r"|抱歉|很抱歉|对不起|我(不能|无法))",
    re.IGNORECASE,
)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


class BadAnswer(Exception):
    """`problem` says why an answer cannot be used, without a word of it: the model is told, and the job."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Property(_Answer):
    key: str
    values: list[str]


class Draft(_Answer):
    """A finding as the model put it: not yet to be believed."""

    text: str
    sources: list[str] = []
    at: str | None = None
    metadata: list[Property] = []


class Drafts(_Answer):
    findings: list[Draft]


class Judgement(_Answer):
    action: str
    replaces: list[str] = []


def drafts_schema(wanted: Sequence[Wanted]) -> Document:
    """JSON schema of `Drafts`."""
    finding: Document = {
        "text": _TEXT,
        "sources": {"type": "array", "items": _TEXT, "description": "Ids of turns, such as t1"},
        "at": {"type": "string", "description": "YYYY-MM-DD, if it is another day than the turn's"},
    }
    if wanted:
        key = {"type": "string", "enum": [one.key for one in wanted]}
        finding["metadata"] = _array(_object({"key": key, "values": {"type": "array", "items": _TEXT}}))
    return _object({"findings": _array(_object(finding, ["text", "sources"]))})


def judgement_schema(known: Sequence[Known]) -> Document:
    """JSON schema of `Judgement`."""
    ids = {"type": "string", "enum": [f"r{number}" for number in range(1, len(known) + 1)]}
    action = {"type": "string", "enum": [one.value for one in Action]}
    return _object({"action": action, "replaces": _array(ids)})


_TEXT: Document = {"type": "string"}


def _array(items: Document) -> Document:
    return {"type": "array", "items": items}


def _object(properties: Document, required: Sequence[str] | None = None) -> Document:
    return {"type": "object", "properties": properties, "required": list(required or properties)}


A = TypeVar("A", bound=BaseModel)


def read(answer: Document, expected: type[A]) -> A:
    """`answer` is Converse's. Raises BadAnswer."""
    stop = answer.get("stopReason")
    if stop in _REFUSED:
        raise BadAnswer("it was a refusal")
    if stop == "max_tokens":
        raise BadAnswer("it was cut off at its greatest length: it must be shorter")
    try:
        return expected.model_validate(_document(answer))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BadAnswer(f"it does not follow the schema, at {place}: {first['msg']}") from None


def _document(answer: Document) -> Any:
    content = answer.get("output", {}).get("message", {}).get("content", [])
    for block in content:
        if "toolUse" in block:
            return block["toolUse"].get("input")
    text = _THOUGHT.sub("", "".join(block.get("text", "") for block in content)).strip()
    if not text:
        raise BadAnswer("it was empty")
    start, end = text.find("{"), text.rfind("}")
    if _REFUSAL.match(text) and start < 0:
        raise BadAnswer("it was a refusal")
    try:
        return json.loads(text[start : end + 1] if start >= 0 else "")
    except (ValueError, RecursionError):
        raise BadAnswer("it was not a JSON object") from None
