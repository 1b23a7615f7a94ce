"""Anthropic's messages API."""

import json

from starlette.responses import JSONResponse, Response

from tests.engines.models.scripted.script import Fails, Says
from tests.engines.models.scripted.server import Document, Received, ScriptedServer, server_sent_event

_STOP_REASONS = {"content_filtered": "refusal"}


class ScriptedAnthropic(ScriptedServer):
    def streams(self, request: Received) -> bool:
        return bool(request.body.get("stream"))

    def document(self, answer: Says) -> Document:
        content: list[Document] = []
        if answer.reasoning:
            content.append({"type": "thinking", "thinking": answer.reasoning, "signature": "signed"})
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        content += [
            {"type": "tool_use", "id": tool.id, "name": tool.name, "input": json.loads(tool.arguments)}
            for tool in answer.tools
        ]
        return {**_message(answer), "content": content, "stop_reason": _stop_reason(answer)}

    def frames(self, answer: Says) -> list[bytes]:
        events: list[Document] = [{"type": "message_start", "message": _message(answer)}, {"type": "ping"}]
        blocks: list[tuple[Document, list[Document]]] = []
        if answer.reasoning:
            deltas = [{"type": "thinking_delta", "thinking": p} for p in answer.pieces(answer.reasoning)]
            deltas.append({"type": "signature_delta", "signature": "signed"})
            blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
        if answer.text:
            deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces(answer.text)]
            blocks.append(({"type": "text", "text": ""}, deltas))
        for tool in answer.tools:
            deltas = [
                {"type": "input_json_delta", "partial_json": p} for p in ["", *answer.pieces(tool.arguments)]
            ]
            blocks.append(({"type": "tool_use", "id": tool.id, "name": tool.name, "input": {}}, deltas))
        for index, (block, deltas) in enumerate(blocks):
            events.append({"type": "content_block_start", "index": index, "content_block": block})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        last = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
        usage = {"output_tokens": answer.output_tokens}
        events.append({"type": "message_delta", "delta": last, "usage": usage})
        events.append({"type": "message_stop"})
        return [server_sent_event(event, event["type"]) for event in events]

    def failure(self, step: Fails) -> Response:
        error = {"type": "some_error", "message": step.message}
        return JSONResponse({"type": "error", "error": error}, step.status)


def _message(answer: Says) -> Document:
    usage: Document = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
    if answer.cached_tokens:
        usage["cache_read_input_tokens"] = answer.cached_tokens
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _stop_reason(answer: Says) -> str:
    return _STOP_REASONS.get(answer.stop, answer.stop)
