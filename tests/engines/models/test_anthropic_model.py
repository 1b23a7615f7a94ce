"""What is particular to Anthropic's messages."""

import pytest

from innkeeper.engines.models.anthropic_model import AnthropicModel
from innkeeper.engines.models.anthropic_request import messages_request
from innkeeper.engines.models.model import Converse, ModelError
from tests.engines.models.scripted.anthropic_server import ScriptedAnthropic
from tests.engines.models.scripted.script import Raw, Says, ToolCall
from tests.engines.models.scripted.server import server_sent_event
from tests.engines.models.test_contract import HELLO, TOOLS, check_events, events_of, put_together


async def streamed(*script: Says | Raw) -> list[Converse]:
    async with ScriptedAnthropic(*script) as server:
        model = AnthropicModel(server.url, "key", 10)
        try:
            return await events_of(model, HELLO)
        finally:
            await model.close()


def stream(*events: Converse) -> Raw:
    return Raw(b"".join(server_sent_event(event, event["type"]) for event in events))


def test_a_limit_is_always_sent() -> None:
    assert messages_request("m", HELLO)["max_tokens"] == 4096


def test_cache_points_mark_what_stands_before_them() -> None:
    point: Converse = {"cachePoint": {"type": "default", "ttl": "1h"}}
    request = {
        "system": [{"text": "Long rules"}, point],
        "messages": [{"role": "user", "content": [{"text": "Hi"}, point]}],
        "toolConfig": {"tools": [*TOOLS["tools"], point]},
    }
    sent = messages_request("m", request)
    control = {"type": "ephemeral", "ttl": "1h"}
    assert sent["system"] == [{"type": "text", "text": "Long rules", "cache_control": control}]
    assert sent["messages"][0]["content"][0]["cache_control"] == control
    assert sent["tools"][0]["cache_control"] == control
    with pytest.raises(ModelError, match="cachePoint"):
        messages_request("m", {**HELLO, "system": [point]})


def test_reasoning_and_failed_tools_go_back_as_they_came() -> None:
    signed = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}
    redacted = {"reasoningContent": {"redactedContent": b"opaque"}}
    result = {"toolUseId": "t1", "status": "error", "content": [{"text": "no luck"}]}
    sent = messages_request(
        "m",
        {
            "messages": [
                {"role": "assistant", "content": [signed, redacted]},
                {"role": "user", "content": [{"toolResult": result}]},
            ]
        },
    )["messages"]
    assert sent[0]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "opaque"},
    ]
    assert sent[1]["content"][0]["is_error"] is True


def test_additional_fields_and_beta_features_are_passed_on() -> None:
    fields = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "anthropic_beta": ["a-1", "b-2"]}
    sent = messages_request("m", {**HELLO, "additionalModelRequestFields": fields})
    assert sent["extra_body"] == {"thinking": fields["thinking"]}
    assert sent["extra_headers"] == {"anthropic-beta": "a-1,b-2"}
    for wrong in ({"anthropic_beta": ["x\r\ny: z"]}, {"anthropic_beta": [7]}, {"model": "other"}):
        with pytest.raises(ModelError):
            messages_request("m", {**HELLO, "additionalModelRequestFields": wrong})


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"auto": {}}, {"type": "auto"}),
        ({"any": {}}, {"type": "any"}),
        ({"tool": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
    ],
)
def test_tool_choices(choice: Converse, sent: Converse) -> None:
    request = {**HELLO, "toolConfig": {**TOOLS, "toolChoice": choice}}
    assert messages_request("m", request)["tool_choice"] == sent


async def test_a_tool_without_arguments_gets_an_empty_object() -> None:
    events = await streamed(Says(tools=(ToolCall("now", ""),), stop="tool_use"))
    check_events(events)
    assert put_together(events)["content"][0]["toolUse"]["input"] == {}


async def test_the_providers_own_tools_leave_no_gap() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    text: Converse = {"type": "text", "text": ""}
    events = await streamed(
        stream(
            {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 0}}},
            {"type": "content_block_start", "index": 0, "content_block": search},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": "{}"},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": text},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Found."}},
            {"type": "content_block_stop", "index": 1},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        )
    )
    check_events(events)
    assert put_together(events)["content"] == [{"text": "Found."}]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", "ServiceUnavailableException"),
        ("rate_limit_error", "ThrottlingException"),
        ("api_error", "ModelErrorException"),
    ],
)
async def test_errors_inside_a_stream(kind: str, code: str) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "too many guests"}}
    with pytest.raises(ModelError, match="too many guests") as failure:
        await streamed(stream(error))
    assert failure.value.code == code


@pytest.mark.parametrize("arguments", ["{oops", "[1]"])
async def test_arguments_that_are_no_json_object(arguments: str) -> None:
    with pytest.raises(ModelError, match="tool arguments"):
        await streamed(Says(tools=(ToolCall("f", arguments),), stop="tool_use"))


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"content": 5}', b'{"content": [], "stop_reason": 1}'])
async def test_answers_of_the_wrong_shape(body: bytes) -> None:
    async with ScriptedAnthropic(Raw(body)) as server:
        model = AnthropicModel(server.url, "key", 10)
        with pytest.raises(ModelError, match="protocol"):
            await model.converse("m", HELLO)
        await model.close()
