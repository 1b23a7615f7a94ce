"""A chat completion, whole or in chunks, as a Converse answer.

Servers differ in the small print (ids that repeat or are missing, indexes that are always 0, `reasoning` or
`reasoning_content`); what is read here is what they have in common.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from innkeeper.engines.models.converse import last_events, token_usage, tool_input, whole_answer
from innkeeper.engines.models.model import Converse
from innkeeper.engines.models.sdk import broke_off, malformed

_STOP_REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filtered",
}


def converse_answer(completion: Any, started: float) -> Converse:
    """`completion` is the SDK's ChatCompletion."""
    choice = completion.choices[0]
    message = choice.message
    content: list[Converse] = []
    if reasoning := _reasoning(message):
        content.append({"reasoningContent": {"reasoningText": {"text": reasoning}}})
    if text := message.content or message.refusal:
        content.append({"text": text})
    calls = message.tool_calls or []
    content += [{"toolUse": _tool_use(call)} for call in calls]
    return whole_answer(content, _stop_reason(choice, bool(calls)), _usage(completion.usage), started)


@dataclass
class _Block:
    """The content block being written; a tool's `input` is its arguments so far."""

    index: int
    kind: str
    call_index: int | None = None
    call_id: str = ""
    input: list[str] = field(default_factory=list)


class ChatStream:
    """Turns the chunks of one answer into events, block after block."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._begun = False
        self._blocks = 0
        self._block: _Block | None = None
        self._calls: set[int | None] = set()
        self._stop_reason = ""
        self._usage = token_usage(0, 0, None, None)

    def events(self, chunk: Any) -> Iterator[Converse]:
        """`chunk` is the SDK's ChatCompletionChunk."""
        choices = chunk.choices or []
        if not self._begun:
            self._begun = True
            yield {"messageStart": {"role": "assistant"}}
        if chunk.usage:
            self._usage = _usage(chunk.usage)
        for choice in choices[:1]:
            yield from self._delta(choice.delta)
            if choice.finish_reason:
                self._stop_reason = _stop_reason(choice, bool(self._calls))

    def end(self) -> Iterator[Converse]:
        if not self._stop_reason:
            raise broke_off()
        yield from self._close()
        yield from last_events(self._stop_reason, self._usage, self._started)

    def _delta(self, delta: Any) -> Iterator[Converse]:
        if reasoning := _reasoning(delta):
            yield from self._write("reasoning", {"reasoningContent": {"text": reasoning}})
        if text := delta.content or delta.refusal:
            yield from self._write("text", {"text": text})
        for call in delta.tool_calls or []:
            yield from self._tool(call)

    def _write(self, kind: str, delta: Converse) -> Iterator[Converse]:
        if self._block is None or self._block.kind != kind:
            yield from self._open(_Block(self._blocks, kind))
        yield self._block_delta(delta)

    def _tool(self, call: Any) -> Iterator[Converse]:
        if self._is_new(call):
            if call.index in self._calls and not call.id:
                raise malformed()
            yield from self._open(_Block(self._blocks, "tool", call.index, call.id or _tool_use_id()))
            yield self._tool_start(call.function.name)
        if self._block and call.function and call.function.arguments:
            self._block.input.append(call.function.arguments)
            yield self._block_delta({"toolUse": {"input": call.function.arguments}})

    def _is_new(self, call: Any) -> bool:
        block = self._block
        if block is None or block.kind != "tool":
            return True
        return call.index != block.call_index or bool(call.id and call.id != block.call_id)

    def _tool_start(self, name: str) -> Converse:
        assert self._block
        self._calls.add(self._block.call_index)
        tool_use = {"toolUseId": self._block.call_id, "name": _tool_name(name)}
        return {"contentBlockStart": {"contentBlockIndex": self._block.index, "start": {"toolUse": tool_use}}}

    def _open(self, block: _Block) -> Iterator[Converse]:
        yield from self._close()
        self._block = block
        self._blocks += 1

    def _block_delta(self, delta: Converse) -> Converse:
        assert self._block
        return {"contentBlockDelta": {"contentBlockIndex": self._block.index, "delta": delta}}

    def _close(self) -> Iterator[Converse]:
        block = self._block
        if block is None:
            return
        if block.kind == "tool":
            tool_input("".join(block.input))
            if not block.input:
                # Clients parse the pieces put together, and no pieces are no JSON.
                yield self._block_delta({"toolUse": {"input": "{}"}})
        yield {"contentBlockStop": {"contentBlockIndex": block.index}}
        self._block = None


def _tool_use(call: Any) -> Converse:
    return {
        "toolUseId": call.id or _tool_use_id(),
        "name": _tool_name(call.function.name),
        "input": tool_input(call.function.arguments),
    }


def _tool_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise malformed()
    return name


def _tool_use_id() -> str:
    return f"tooluse_{secrets.token_hex(11)}"


def _reasoning(message: Any) -> str | None:
    """Outside OpenAI's own schema: vLLM and OpenRouter say `reasoning`, DeepSeek `reasoning_content`."""
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    return reasoning if isinstance(reasoning, str) else None


def _stop_reason(choice: Any, called_tools: bool) -> str:
    reason = _STOP_REASONS.get(choice.finish_reason)
    if reason:
        return reason
    if called_tools:
        return "tool_use"
    # vLLM says which stop sequence it met.
    return "stop_sequence" if isinstance(getattr(choice, "stop_reason", None), str) else "end_turn"


def _usage(usage: Any) -> Converse:
    if not usage:
        return token_usage(0, 0, None, None)
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details else None
    return token_usage(usage.prompt_tokens - (cached or 0), usage.completion_tokens, cached, None)
