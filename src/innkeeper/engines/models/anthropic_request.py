"""A Converse request as an Anthropic messages request (https://docs.anthropic.com/en/api/messages)."""

import json
from collections.abc import Callable
from typing import Any

from innkeeper.engines.models.converse import (
    additional_fields,
    document_text,
    image_base64,
    json_schema,
    refuse_unsupported,
    union,
    unsupported_block,
)
from innkeeper.engines.models.model import Converse, invalid_request

# The API demands a limit; this one every model takes.
_MAX_TOKENS = 4096
_RESERVED = frozenset({"model", "messages", "system", "stream"})

Block = dict[str, Any]


def messages_request(model: str, request: Converse) -> dict[str, Any]:
    """Keyword arguments for the SDK's `messages.create`."""
    refuse_unsupported(request)
    inference = request.get("inferenceConfig") or {}
    extra = dict(additional_fields(request, _RESERVED))
    beta = extra.pop("anthropic_beta", None)
    arguments = {
        "model": model,
        "messages": [_message(message) for message in request.get("messages") or []],
        "system": _blocks(request.get("system") or []) or None,
        "max_tokens": inference.get("maxTokens", _MAX_TOKENS),
        "stop_sequences": inference.get("stopSequences") or None,
        **_tools(request.get("toolConfig") or {}),
        "output_config": _output_config(request),
        "extra_body": {**_sampling(inference), **extra} or None,
        "extra_headers": {"anthropic-beta": _beta_header(beta)} if beta else None,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _sampling(inference: Converse) -> Block:
    """What the SDK has no arguments for any more, though older models take it."""
    sampling = {"temperature": inference.get("temperature"), "top_p": inference.get("topP")}
    return {name: value for name, value in sampling.items() if value is not None}


def _beta_header(beta: Any) -> str:
    names = beta if isinstance(beta, list) else [beta]
    if not all(isinstance(name, str) and name.isascii() and name.isprintable() for name in names):
        raise invalid_request("additionalModelRequestFields: anthropic_beta must be a list of names")
    return ",".join(names)


def _message(message: Converse) -> Block:
    if message["role"] == "system":
        raise invalid_request("This model's provider takes system prompts only in the request's 'system'")
    return {"role": message["role"], "content": _blocks(message["content"])}


def _blocks(content: list[Converse]) -> list[Block]:
    blocks: list[Block] = []
    for item in content:
        kind, value = union(item)
        if kind == "cachePoint":
            _mark_cached(blocks, value)
        else:
            blocks.append(_block(kind, value))
    return blocks


def _block(kind: str, value: Any) -> Block:
    if kind not in _TRANSLATIONS:
        raise unsupported_block(kind)
    return _TRANSLATIONS[kind](value)


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _image(image: Converse) -> Block:
    media_type, data = image_base64(image)
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _document(document: Converse) -> Block:
    return _text(document_text(document))


def _tool_use(tool_use: Converse) -> Block:
    return {
        "type": "tool_use",
        "id": tool_use["toolUseId"],
        "name": tool_use["name"],
        "input": tool_use["input"],
    }


def _tool_result(result: Converse) -> Block:
    block = {
        "type": "tool_result",
        "tool_use_id": result["toolUseId"],
        "content": _blocks(result["content"]),
    }
    return {**block, "is_error": True} if result.get("status") == "error" else block


def _json(value: Any) -> Block:
    return _text(json.dumps(value))


def _reasoning(reasoning: Converse) -> Block:
    kind, value = union(reasoning)
    if kind == "redactedContent":
        return {"type": "redacted_thinking", "data": value.decode()}
    return {"type": "thinking", "thinking": value["text"], "signature": value.get("signature", "")}


_TRANSLATIONS: dict[str, Callable[[Any], Block]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "json": _json,
    "reasoningContent": _reasoning,
}


def _mark_cached(blocks: list[Block], cache_point: Converse) -> None:
    """Anthropic marks the last block of the cached prefix where Converse puts a block after it."""
    if not blocks:
        raise invalid_request("A cachePoint must follow what it caches")
    control = {"type": "ephemeral"}
    if ttl := cache_point.get("ttl"):
        control["ttl"] = ttl
    blocks[-1]["cache_control"] = control


def _tools(config: Converse) -> dict[str, Any]:
    tools: list[Block] = []
    for item in config.get("tools") or []:
        kind, value = union(item)
        if kind == "cachePoint":
            _mark_cached(tools, value)
        elif kind == "toolSpec":
            tools.append(_tool(value))
        else:
            raise unsupported_block(kind)
    choice = config.get("toolChoice")
    return {"tools": tools, "tool_choice": _tool_choice(choice) if choice else None} if tools else {}


def _tool(spec: Converse) -> Block:
    tool = {
        "name": spec["name"],
        "description": spec.get("description"),
        "input_schema": spec["inputSchema"]["json"],
        "strict": spec.get("strict"),
    }
    return {name: value for name, value in tool.items() if value is not None}


def _tool_choice(choice: Converse) -> Block:
    kind, value = union(choice)
    return {"type": kind, "name": value["name"]} if kind == "tool" else {"type": kind}


def _output_config(request: Converse) -> Block | None:
    config: Block = {}
    if definition := json_schema(request):
        config["format"] = {"type": "json_schema", "schema": definition["schema"]}
    if effort := (request.get("outputConfig") or {}).get("effort"):
        config["effort"] = effort
    return config or None
