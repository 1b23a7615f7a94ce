"""Bedrock's own Converse and ConverseStream, with event-stream frames.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import json
import struct
from binascii import crc32

from starlette.responses import JSONResponse, Response

from tests.engines.models.scripted.script import Fails, Says
from tests.engines.models.scripted.server import Document, Received, ScriptedServer

_CODES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


class ScriptedBedrock(ScriptedServer):
    stream_type = "application/vnd.amazon.eventstream"
    # A frame whose checksum is wrong.
    garbage = struct.pack("!III", 16, 0, 1) + b"\0\0\0\0"

    def streams(self, request: Received) -> bool:
        return request.path.endswith("/converse-stream")

    def document(self, answer: Says) -> Document:
        content: list[Document] = []
        if answer.reasoning:
            reasoning = {"text": answer.reasoning, "signature": "signed"}
            content.append({"reasoningContent": {"reasoningText": reasoning}})
        if answer.text:
            content.append({"text": answer.text})
        for tool in answer.tools:
            use = {"toolUseId": tool.id, "name": tool.name, "input": json.loads(tool.arguments)}
            content.append({"toolUse": use})
        message = {"role": "assistant", "content": content}
        return {"output": {"message": message}, "stopReason": answer.stop, **_metadata(answer)}

    def frames(self, answer: Says) -> list[bytes]:
        blocks: list[tuple[Document | None, list[Document]]] = []
        if answer.reasoning:
            texts = [{"reasoningContent": {"text": piece}} for piece in answer.pieces(answer.reasoning)]
            blocks.append((None, [*texts, {"reasoningContent": {"signature": "signed"}}]))
        if answer.text:
            blocks.append((None, [{"text": piece} for piece in answer.pieces(answer.text)]))
        for tool in answer.tools:
            start = {"toolUse": {"toolUseId": tool.id, "name": tool.name}}
            inputs: list[Document] = [{"toolUse": {"input": p}} for p in answer.pieces(tool.arguments)]
            blocks.append((start, inputs))
        frames = [event_frame("messageStart", {"role": "assistant"})]
        for index, (first, deltas) in enumerate(blocks):
            where = {"contentBlockIndex": index}
            if first:
                frames.append(event_frame("contentBlockStart", {**where, "start": first}))
            frames += [event_frame("contentBlockDelta", {**where, "delta": delta}) for delta in deltas]
            frames.append(event_frame("contentBlockStop", where))
        frames.append(event_frame("messageStop", {"stopReason": answer.stop}))
        frames.append(event_frame("metadata", _metadata(answer)))
        return frames

    def failure(self, step: Fails) -> Response:
        code = _CODES.get(step.status, "InternalServerException")
        return JSONResponse({"message": step.message}, step.status, {"x-amzn-errortype": code})


def event_frame(name: str, document: Document) -> bytes:
    headers = {":message-type": "event", ":event-type": name, ":content-type": "application/json"}
    return frame(headers, json.dumps(document).encode())


def exception_frame(name: str, document: Document) -> bytes:
    headers = {":message-type": "exception", ":exception-type": name, ":content-type": "application/json"}
    return frame(headers, json.dumps(document).encode())


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    block = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack("!II", len(block) + len(payload) + 16, len(block))
    body = lengths + struct.pack("!I", crc32(lengths)) + block + payload
    return body + struct.pack("!I", crc32(body))


def _metadata(answer: Says) -> Document:
    usage = {
        "inputTokens": answer.input_tokens,
        "outputTokens": answer.output_tokens,
        "totalTokens": answer.input_tokens + answer.output_tokens + answer.cached_tokens,
    }
    if answer.cached_tokens:
        usage["cacheReadInputTokens"] = answer.cached_tokens
    return {"usage": usage, "metrics": {"latencyMs": 7}}
