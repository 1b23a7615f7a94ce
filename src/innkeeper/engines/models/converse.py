"""Reading and writing the Converse documents that more than one driver translates."""

import base64
import json
import time
from typing import Any

from innkeeper.engines.models.model import Converse, ModelError, invalid_request

_TEXT_FORMATS = frozenset({"txt", "md", "csv", "html"})


def union(document: Converse) -> tuple[str, Any]:
    """The one member that a union holds, and its value."""
    if len(document) != 1:
        raise invalid_request(f"Exactly one member must be set, not {sorted(document)}")
    return next(iter(document.items()))


def refuse_unsupported(request: Converse) -> None:
    """What only Bedrock itself can do must not be dropped in silence."""
    for member in ("guardrailConfig", "promptVariables"):
        if request.get(member):
            raise invalid_request(f"{member} works only with models that Bedrock itself serves")


def unsupported_block(kind: str) -> ModelError:
    return invalid_request(f"This model's provider does not take '{kind}' content")


def additional_fields(request: Converse, reserved: frozenset[str]) -> Converse:
    """`additionalModelRequestFields`, which may not replace what the request itself decides."""
    fields: Converse = request.get("additionalModelRequestFields") or {}
    if clash := reserved & fields.keys():
        raise invalid_request(f"additionalModelRequestFields may not set {', '.join(sorted(clash))}")
    return fields


def image_base64(image: Converse) -> tuple[str, str]:
    """The media type and the base64 text of an `image` block."""
    kind, source = union(image["source"])
    if kind != "bytes":
        raise invalid_request("Images must be sent as bytes: this model's provider cannot read S3")
    return f"image/{image['format']}", base64.b64encode(source).decode()


def document_text(document: Converse) -> str:
    """A `document` block as text with its name around it; only text formats."""
    kind, source = union(document["source"])
    if kind == "text":
        text = source
    elif kind == "content":
        text = "\n".join(part["text"] for part in source)
    elif kind == "bytes" and document.get("format", "txt") in _TEXT_FORMATS:
        text = source.decode("utf-8", errors="replace")
    else:
        allowed = ", ".join(sorted(_TEXT_FORMATS))
        raise invalid_request(f"This model's provider takes documents only as text or bytes of: {allowed}")
    return f'<document name="{document["name"]}">\n{text}\n</document>'


def json_schema(request: Converse) -> Converse | None:
    """`outputConfig.textFormat` as `{"name", "schema", "description"}`, with the schema parsed."""
    text_format = request.get("outputConfig", {}).get("textFormat")
    if not text_format:
        return None
    definition = text_format["structure"]["jsonSchema"]
    try:
        schema = json.loads(definition["schema"])
    except ValueError:
        raise invalid_request("outputConfig.textFormat: schema is not JSON") from None
    return {**definition, "name": definition.get("name", "answer"), "schema": schema}


def tool_input(text: str) -> Converse:
    """The arguments of a tool call, which a model writes as JSON text; empty text means none."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        raise ModelError("The model wrote tool arguments that are not JSON") from None
    if not isinstance(value, dict):
        raise ModelError("The model wrote tool arguments that are not a JSON object")
    return value


def token_usage(fresh: int, output: int, cache_read: int | None, cache_write: int | None) -> Converse:
    """A `TokenUsage`: as on Bedrock, `inputTokens` (here `fresh`) leaves out what the cache read or wrote."""
    usage = {
        "inputTokens": fresh,
        "outputTokens": output,
        "totalTokens": fresh + output + (cache_read or 0) + (cache_write or 0),
    }
    if cache_read is not None:
        usage["cacheReadInputTokens"] = cache_read
    if cache_write is not None:
        usage["cacheWriteInputTokens"] = cache_write
    return usage


def whole_answer(content: list[Converse], stop_reason: str, usage: Converse, started: float) -> Converse:
    """A `ConverseResponse`. `started` is `time.monotonic()` at the request."""
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason,
        "usage": usage,
        "metrics": _metrics(started),
    }


def last_events(stop_reason: str, usage: Converse, started: float) -> list[Converse]:
    """What every stream ends with."""
    return [
        {"messageStop": {"stopReason": stop_reason}},
        {"metadata": {"usage": usage, "metrics": _metrics(started)}},
    ]


def _metrics(started: float) -> Converse:
    return {"latencyMs": round((time.monotonic() - started) * 1000)}
