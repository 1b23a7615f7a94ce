"""An Anthropic message, whole or in events, as a Converse answer.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from collections.abc import Iterator
from typing import Any

from innkeeper.engines.models.converse import last_events, token_usage, tool_input, whole_answer
from innkeeper.engines.models.model import Converse
from innkeeper.engines.models.sdk import broke_off, malformed

_STOP_REASONS = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "pause_turn": "end_turn",
    "refusal": "content_filtered",
    "model_context_window_exceeded": "model_context_window_exceeded",
}


def converse_answer(message: Any, started: float) -> Converse:
    """`message` is the SDK's Message."""
    content = [block for block in map(_block, message.content) if block]
    usage = _Usage()
    usage.update(message.usage)
    return whole_answer(content, _stop_reason(message.stop_reason), usage.document(), started)


class MessageStream:
    """Turns the events of one answer into ours, block after block."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._blocks = 0
        self._kind = ""
        self._input: list[str] = []
        self._usage = _Usage()
        self._stop_reason = ""
        self._done = False

    def events(self, event: Any) -> Iterator[Converse]:
        """`event` is the SDK's RawMessageStreamEvent."""
        if event.type == "message_start":
            self._usage.update(event.message.usage)
            yield {"messageStart": {"role": "assistant"}}
        elif event.type == "content_block_start":
            yield from self._start(event.content_block)
        elif event.type == "content_block_delta":
            yield from self._delta(event.delta)
        elif event.type == "content_block_stop":
            yield from self._stop()
        elif event.type == "message_delta":
            self._usage.update(event.usage)
            self._stop_reason = _stop_reason(event.delta.stop_reason)
        elif event.type == "message_stop":
            self._done = True

    def end(self) -> Iterator[Converse]:
        if not self._done or not self._stop_reason:
            raise broke_off()
        yield from last_events(self._stop_reason, self._usage.document(), self._started)

    def _start(self, block: Any) -> Iterator[Converse]:
        self._kind = block.type
        self._input = []
        if block.type == "tool_use":
            start = {"toolUse": {"toolUseId": block.id, "name": block.name}}
            yield {"contentBlockStart": {"contentBlockIndex": self._blocks, "start": start}}
        elif block.type == "redacted_thinking":
            yield self._block_delta({"reasoningContent": {"redactedContent": block.data.encode()}})

    def _delta(self, delta: Any) -> Iterator[Converse]:
        if delta.type == "text_delta":
            yield self._block_delta({"text": delta.text})
        elif delta.type == "thinking_delta":
            yield self._block_delta({"reasoningContent": {"text": delta.thinking}})
        elif delta.type == "signature_delta":
            yield self._block_delta({"reasoningContent": {"signature": delta.signature}})
        elif delta.type == "input_json_delta" and self._kind == "tool_use" and delta.partial_json:
            self._input.append(delta.partial_json)
            yield self._block_delta({"toolUse": {"input": delta.partial_json}})

    def _stop(self) -> Iterator[Converse]:
        if self._kind not in _KINDS:
            return
        if self._kind == "tool_use":
            tool_input("".join(self._input))
            if not self._input:
                # Clients parse the pieces put together, and no pieces are no JSON.
                yield self._block_delta({"toolUse": {"input": "{}"}})
        yield {"contentBlockStop": {"contentBlockIndex": self._blocks}}
        self._blocks += 1

    def _block_delta(self, delta: Converse) -> Converse:
        return {"contentBlockDelta": {"contentBlockIndex": self._blocks, "delta": delta}}


class _Usage:
    """Token counts, of which a stream tells the input's first and the output's last."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def update(self, usage: Any) -> None:
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            if (count := getattr(usage, name, None)) is not None:
                self._counts[name] = int(count)

    def document(self) -> Converse:
        counts = self._counts
        return token_usage(
            counts.get("input_tokens", 0),
            counts.get("output_tokens", 0),
            counts.get("cache_read_input_tokens"),
            counts.get("cache_creation_input_tokens"),
        )


def _text(block: Any) -> Converse:
    return {"text": block.text}


def _thinking(block: Any) -> Converse:
    text = {"text": block.thinking, "signature": block.signature}
    return {"reasoningContent": {"reasoningText": text}}


def _redacted(block: Any) -> Converse:
    return {"reasoningContent": {"redactedContent": block.data.encode()}}


def _tool_use(block: Any) -> Converse:
    if not isinstance(block.input, dict):
        raise malformed()
    return {"toolUse": {"toolUseId": block.id, "name": block.name, "input": block.input}}


_KINDS = {"text": _text, "thinking": _thinking, "redacted_thinking": _redacted, "tool_use": _tool_use}


def _block(block: Any) -> Converse | None:
    """None for what Converse has no words for, such as the traces of the provider's own tools."""
    translate = _KINDS.get(block.type)
    return translate(block) if translate else None


def _stop_reason(reason: Any) -> str:
    if reason not in _STOP_REASONS:
        raise malformed()
    return _STOP_REASONS[reason]
