"""A Converse request as a chat completion request.

Source: https://platform.openai.com/docs/api-reference/chat/create, kept to what vLLM, Ollama and llama.cpp
take too.
"""

import json
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
from innkeeper.engines.models.model import Converse

# Cached by the provider without being asked, or of no meaning to it when sent back.
_IGNORED = frozenset({"cachePoint", "reasoningContent"})
_RESERVED = frozenset({"model", "messages", "stream", "stream_options", "n"})

Part = dict[str, Any]


def chat_request(model: str, request: Converse, max_tokens: str) -> dict[str, Any]:
    """Keyword arguments for the SDK's `chat.completions.create`; `max_tokens` is the limit's field."""
    refuse_unsupported(request)
    inference = request.get("inferenceConfig") or {}
    arguments = {
        "model": model,
        "messages": _messages(request),
        max_tokens: inference.get("maxTokens"),
        "temperature": inference.get("temperature"),
        "top_p": inference.get("topP"),
        "stop": inference.get("stopSequences") or None,
        **_tools(request.get("toolConfig") or {}),
        "response_format": _response_format(request),
        "extra_body": additional_fields(request, _RESERVED) or None,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _messages(request: Converse) -> list[Part]:
    messages: list[Part] = []
    if system := _texts(request.get("system") or []):
        messages.append({"role": "system", "content": system})
    for message in request.get("messages") or []:
        messages += _BY_ROLE[message["role"]](message["content"])
    return messages


def _system(content: list[Converse]) -> list[Part]:
    return [{"role": "system", "content": _texts(content)}]


def _user(content: list[Converse]) -> list[Part]:
    """Tool results are messages of their own, which must stand before anything else the user says."""
    results: list[Part] = []
    parts: list[Part] = []
    for block in content:
        kind, value = union(block)
        if kind == "toolResult":
            text, images = _tool_result(value)
            results.append({"role": "tool", "tool_call_id": value["toolUseId"], "content": text})
            parts += images
        elif kind not in _IGNORED:
            parts.append(_part(kind, value))
    return [*results, {"role": "user", "content": _plain(parts)}] if parts else results


def _assistant(content: list[Converse]) -> list[Part]:
    calls = [_tool_call(block["toolUse"]) for block in content if "toolUse" in block]
    text = _texts([block for block in content if "toolUse" not in block])
    message: Part = {"role": "assistant", "content": text if text or not calls else None}
    return [{**message, "tool_calls": calls} if calls else message]


_BY_ROLE = {"system": _system, "user": _user, "assistant": _assistant}


def _texts(content: list[Converse]) -> str:
    texts = []
    for block in content:
        kind, value = union(block)
        if kind == "text":
            texts.append(value)
        elif kind not in _IGNORED:
            raise unsupported_block(kind)
    return "\n\n".join(texts)


def _part(kind: str, value: Any) -> Part:
    if kind == "text":
        return {"type": "text", "text": value}
    if kind == "document":
        return {"type": "text", "text": document_text(value)}
    if kind == "image":
        media_type, data = image_base64(value)
        return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
    raise unsupported_block(kind)


def _plain(parts: list[Part]) -> str | list[Part]:
    """Text alone goes as a string: many servers' chat templates know nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _tool_call(tool_use: Converse) -> Part:
    function = {"name": tool_use["name"], "arguments": json.dumps(tool_use["input"])}
    return {"id": tool_use["toolUseId"], "type": "function", "function": function}


def _tool_result(result: Converse) -> tuple[str, list[Part]]:
    """The text of a tool's result, and its images, which a `tool` message cannot hold."""
    texts: list[str] = []
    images: list[Part] = []
    for block in result["content"]:
        kind, value = union(block)
        if kind == "json":
            texts.append(json.dumps(value))
        elif kind == "image":
            texts.append("(an image, given in the next message)")
            images.append(_part(kind, value))
        else:
            texts.append(_part(kind, value)["text"])
    text = "\n\n".join(texts)
    return (f"The tool failed: {text}" if result.get("status") == "error" else text), images


def _tools(config: Converse) -> dict[str, Any]:
    tools = [_tool(tool) for tool in config.get("tools") or [] if "cachePoint" not in tool]
    if not tools:
        return {}
    choice = config.get("toolChoice")
    return {"tools": tools, "tool_choice": _tool_choice(choice) if choice else None}


def _tool(tool: Converse) -> Part:
    kind, spec = union(tool)
    if kind != "toolSpec":
        raise unsupported_block(kind)
    function = {
        "name": spec["name"],
        "description": spec.get("description"),
        "parameters": spec["inputSchema"]["json"],
        "strict": spec.get("strict"),
    }
    return {"type": "function", "function": {k: v for k, v in function.items() if v is not None}}


def _tool_choice(choice: Converse) -> str | Part:
    kind, value = union(choice)
    if kind == "tool":
        return {"type": "function", "function": {"name": value["name"]}}
    return "required" if kind == "any" else "auto"


def _response_format(request: Converse) -> Part | None:
    definition = json_schema(request)
    return {"type": "json_schema", "json_schema": definition} if definition else None
