"""Chat completions as OpenAI and its many compatible servers speak them.

async with ScriptedOpenAi(Says("Hello")) as server:
    ... # a provider with base_url=server.url
    assert server.requests[0].body["model"] == "qwen3"
"""

from typing import Any

from starlette.responses import JSONResponse, Response

from tests.engines.models.scripted.script import Fails, Says, ToolCall
from tests.engines.models.scripted.server import Document, Received, ScriptedServer, server_sent_event

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "content_filtered": "content_filter",
}


class ScriptedOpenAi(ScriptedServer):
    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def streams(self, request: Received) -> bool:
        return bool(request.body.get("stream"))

    def document(self, answer: Says) -> Document:
        message: Document = {"role": "assistant", "content": answer.text or None}
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        if answer.tools:
            message["tool_calls"] = [_call(tool, tool.arguments) for tool in answer.tools]
        choice = {"index": 0, "message": message, **_finish(answer)}
        return {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _usage(answer)}

    def frames(self, answer: Says) -> list[bytes]:
        deltas: list[Document] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": piece} for piece in answer.pieces(answer.reasoning)]
        deltas += [{"content": piece} for piece in answer.pieces(answer.text)]
        for index, tool in enumerate(answer.tools):
            deltas.append({"tool_calls": [{"index": index, **_call(tool, "")}]})
            for piece in answer.pieces(tool.arguments):
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        choices: list[Document] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, **_finish(answer)})
        chunks = [{**_HEAD, "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
        chunks.append({**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _usage(answer)})
        return [*map(server_sent_event, chunks), b"data: [DONE]\n\n"]

    def failure(self, step: Fails) -> Response:
        error = {"message": step.message, "type": "some_error", "param": None, "code": None}
        return JSONResponse({"error": error}, step.status)


_HEAD: dict[str, Any] = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "scripted"}


def _call(tool: ToolCall, arguments: str) -> Document:
    return {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": arguments}}


def _finish(answer: Says) -> Document:
    finish: Document = {"finish_reason": _FINISH_REASONS[answer.stop]}
    if answer.stop == "stop_sequence":
        finish["stop_reason"] = "END"
    return finish


def _usage(answer: Says) -> Document:
    prompt = answer.input_tokens + answer.cached_tokens
    usage: Document = {
        "prompt_tokens": prompt,
        "completion_tokens": answer.output_tokens,
        "total_tokens": prompt + answer.output_tokens,
    }
    if answer.cached_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": answer.cached_tokens}
    return usage
