"""What every driver does, whatever its provider's protocol."""

import asyncio
import json
import logging
from contextlib import aclosing
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from innkeeper.engines.models.model import Converse, Model, ModelError
from tests.engines.models.conftest import SECRET, Speaking, driver
from tests.engines.models.scripted.script import Fails, Fault, Says, ToolCall

HELLO: Converse = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
WEATHER = ToolCall("weather", '{"city": "Oslo", "days": 2}')
TOOLS: Converse = {
    "tools": [
        {
            "toolSpec": {
                "name": "weather",
                "description": "Tells the weather",
                "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
            }
        }
    ]
}
PNG = b"\x89PNG\r\n\x1a\n"


async def events_of(model: Model, request: Converse) -> list[Converse]:
    async with aclosing(model.converse_stream("some-model", request)) as events:
        return [event async for event in events]


def put_together(events: list[Converse]) -> Converse:
    """The whole answer that a stream's events tell, as a client would read it."""
    content: list[Any] = []
    for event in events:
        if start := event.get("contentBlockStart"):
            content.append({"toolUse": {**start["start"]["toolUse"], "input": ""}})
        elif delta := event.get("contentBlockDelta"):
            index, piece = delta["contentBlockIndex"], delta["delta"]
            if index == len(content):
                content.append({"text": ""} if "text" in piece else {"reasoningContent": {}})
            block = content[index]
            if "text" in piece:
                block["text"] += piece["text"]
            elif "toolUse" in piece:
                block["toolUse"]["input"] += piece["toolUse"]["input"]
            else:
                for name, text in piece["reasoningContent"].items():
                    block["reasoningContent"][name] = block["reasoningContent"].get(name, "") + text
    for block in content:
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return {
        "content": content,
        "stopReason": events[-2]["messageStop"]["stopReason"],
        **events[-1]["metadata"],
    }


def check_events(events: list[Converse]) -> None:
    """They are what the service model says, in the order that clients rely on."""
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = model.operation_model("ConverseStream").output_shape.members["stream"]
    for event in events:
        ((name, value),) = event.items()
        report = ParamValidator().validate(value, shape.members[name])
        assert not report.has_errors(), report.generate_report()
    names = [next(iter(event)) for event in events]
    assert names[0] == "messageStart"
    assert names[-2:] == ["messageStop", "metadata"]
    stops = [e["contentBlockStop"]["contentBlockIndex"] for e in events if "contentBlockStop" in e]
    assert stops == list(range(len(stops)))


async def test_text_is_answered_whole(speaking: Speaking) -> None:
    async with speaking(Says("Good morning")) as (model, _):
        answer = await model.converse("some-model", HELLO)
    assert answer["output"] == {"message": {"role": "assistant", "content": [{"text": "Good morning"}]}}
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    assert answer["metrics"]["latencyMs"] >= 0


async def test_text_is_streamed(speaking: Speaking) -> None:
    async with speaking(Says("Good morning")) as (model, _):
        events = await events_of(model, HELLO)
    check_events(events)
    assert len([event for event in events if "contentBlockDelta" in event]) == 2
    answer = put_together(events)
    assert answer["content"] == [{"text": "Good morning"}]
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}


async def test_the_model_and_its_key_reach_the_provider(speaking: Speaking, kind: str) -> None:
    async with speaking(Says("ok")) as (model, server):
        await model.converse("eu.maker:model-1", HELLO)
    request = server.requests[0]
    if kind == "openai":
        assert request.path == "/v1/chat/completions"
        assert request.headers["authorization"] == f"Bearer {SECRET}"
        assert request.body["model"] == "eu.maker:model-1"
    elif kind == "anthropic":
        assert request.path == "/v1/messages"
        assert request.headers["authorization"] == f"Bearer {SECRET}"
        assert request.body["model"] == "eu.maker:model-1"
    else:
        assert request.path == "/model/eu.maker%3Amodel-1/converse"
        assert "Credential=AKIAOPERATOR/" in request.headers["authorization"]
        assert "/us-west-2/bedrock/aws4_request" in request.headers["authorization"]


async def test_a_tool_is_called_and_its_result_goes_back(speaking: Speaking) -> None:
    asks = Says("Let me see.", tools=(WEATHER,), stop="tool_use")
    async with speaking(asks, Says("It rains.")) as (model, server):
        request = {**HELLO, "toolConfig": {**TOOLS, "toolChoice": {"any": {}}}}
        answer = await model.converse("some-model", request)
        assert answer["stopReason"] == "tool_use"
        use = answer["output"]["message"]["content"][1]["toolUse"]
        assert use == {"toolUseId": "call_1", "name": "weather", "input": {"city": "Oslo", "days": 2}}

        result = {"toolUseId": "call_1", "content": [{"json": {"sky": "rain"}}, {"text": "soon over"}]}
        more = [answer["output"]["message"], {"role": "user", "content": [{"toolResult": result}]}]
        final = await model.converse(
            "some-model", {"messages": HELLO["messages"] + more, "toolConfig": TOOLS}
        )
    assert final["output"]["message"]["content"] == [{"text": "It rains."}]
    assert "weather" in json.dumps(
        server.requests[0].body["tools" if "tools" in server.requests[0].body else "toolConfig"]
    )
    sent = json.dumps(server.requests[1].body)
    assert all(words in sent for words in ("call_1", "soon over", "sky", "Let me see.", "Oslo"))


async def test_tool_calls_are_streamed(speaking: Speaking) -> None:
    calls = (WEATHER, ToolCall("weather", '{"city": "Rome"}', "call_2"))
    async with speaking(Says("Let me see.", tools=calls, stop="tool_use")) as (model, _):
        events = await events_of(model, {**HELLO, "toolConfig": TOOLS})
    check_events(events)
    answer = put_together(events)
    assert answer["stopReason"] == "tool_use"
    assert answer["content"] == [
        {"text": "Let me see."},
        {"toolUse": {"toolUseId": "call_1", "name": "weather", "input": {"city": "Oslo", "days": 2}}},
        {"toolUse": {"toolUseId": "call_2", "name": "weather", "input": {"city": "Rome"}}},
    ]


async def test_reasoning_comes_before_the_text(speaking: Speaking) -> None:
    async with speaking(Says("Four.", reasoning="two and two")) as (model, _):
        answer = await model.converse("some-model", HELLO)
        events = await events_of(model, HELLO)
    reasoning, text = answer["output"]["message"]["content"]
    assert reasoning["reasoningContent"]["reasoningText"]["text"] == "two and two"
    assert text == {"text": "Four."}
    check_events(events)
    streamed = put_together(events)["content"]
    assert streamed[0]["reasoningContent"]["text"] == "two and two"
    assert streamed[1] == {"text": "Four."}


async def test_images_documents_and_system_prompts_are_sent(speaking: Speaking) -> None:
    content: list[Converse] = [
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"document": {"format": "txt", "name": "notes", "source": {"text": "buy milk"}}},
        {"text": "What is this?"},
    ]
    request = {"system": [{"text": "Be brief."}], "messages": [{"role": "user", "content": content}]}
    async with speaking(Says("A dot.")) as (model, server):
        await model.converse("some-model", request)
    sent = json.dumps(server.requests[0].body)
    assert all(words in sent for words in ("iVBORw0KGgo=", "buy milk", "What is this?", "Be brief."))


async def test_inference_settings_are_sent(speaking: Speaking, kind: str) -> None:
    config = {"maxTokens": 77, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    request = {**HELLO, "inferenceConfig": config, "additionalModelRequestFields": {"top_k": 3}}
    async with speaking(Says("ok")) as (model, server):
        await model.converse("some-model", request)
    body = server.requests[0].body
    if kind == "bedrock":
        assert body["inferenceConfig"] == config
        assert body["additionalModelRequestFields"] == {"top_k": 3}
    else:
        assert (body["max_tokens"], body["temperature"], body["top_p"]) == (77, 0.5, 0.9)
        assert body["stop" if kind == "openai" else "stop_sequences"] == ["END"]
        assert body["top_k"] == 3


@pytest.mark.parametrize("stop", ["end_turn", "max_tokens", "stop_sequence", "content_filtered"])
async def test_stop_reasons(speaking: Speaking, stop: str) -> None:
    async with speaking(Says("so far", stop=stop)) as (model, _):
        assert (await model.converse("some-model", HELLO))["stopReason"] == stop
        assert put_together(await events_of(model, HELLO))["stopReason"] == stop


async def test_cached_tokens_are_counted_apart(speaking: Speaking) -> None:
    usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 115, "cacheReadInputTokens": 100}
    async with speaking(Says("ok", cached_tokens=100)) as (model, _):
        assert (await model.converse("some-model", HELLO))["usage"] == usage
        assert put_together(await events_of(model, HELLO))["usage"] == usage


@pytest.mark.parametrize(
    ("status", "code", "own_status"),
    [
        (400, "ValidationException", 400),
        (403, "AccessDeniedException", 403),
        (404, "ResourceNotFoundException", 404),
        (408, "ModelTimeoutException", 408),
        (429, "ThrottlingException", 429),
    ],
)
async def test_refusals_keep_their_meaning(
    speaking: Speaking, status: int, code: str, own_status: int
) -> None:
    async with speaking(Fails(status, "prompt is too long")) as (model, _):
        for attempt in (model.converse("some-model", HELLO), events_of(model, HELLO)):
            with pytest.raises(ModelError) as failure:
                await attempt
            assert (failure.value.code, failure.value.status) == (code, own_status)
            if status != 403:
                assert "prompt is too long" in failure.value.message


async def test_refused_keys_do_not_show(speaking: Speaking, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with speaking(Fails(403, f"bad key {SECRET}")) as (model, _):
        with pytest.raises(ModelError, match="credentials") as failure:
            await model.converse("some-model", HELLO)
        assert SECRET not in failure.value.message
    assert SECRET not in caplog.text
    assert "Hello" not in caplog.text


async def test_a_failing_provider_is_a_model_error(speaking: Speaking, kind: str) -> None:
    async with speaking(Fails(500)) as (model, server):
        with pytest.raises(ModelError) as failure:
            await model.converse("some-model", HELLO)
    bedrock = kind == "bedrock"
    assert failure.value.code == ("InternalServerException" if bedrock else "ModelErrorException")
    assert len(server.requests) == (1 if bedrock else 2)


async def test_a_silent_provider_is_a_timeout(speaking: Speaking) -> None:
    async with speaking(Says(fault=Fault.SILENT), timeout_seconds=0.2) as (model, _):
        for attempt in (model.converse("some-model", HELLO), events_of(model, HELLO)):
            with pytest.raises(ModelError) as failure:
                await attempt
            assert (failure.value.code, failure.value.status) == ("ModelTimeoutException", 408)


async def test_an_absent_provider_is_unavailable(kind: str) -> None:
    model = driver(kind, "http://127.0.0.1:9/v1")
    for attempt in (model.converse("some-model", HELLO), events_of(model, HELLO)):
        with pytest.raises(ModelError) as failure:
            await attempt
        assert (failure.value.code, failure.value.status) == ("ServiceUnavailableException", 503)
    await model.close()


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.UNFINISHED, Fault.GARBAGE])
async def test_a_broken_stream_raises_after_what_came(speaking: Speaking, fault: Fault) -> None:
    async with speaking(Says("a rather long answer", fault=fault)) as (model, _):
        events = model.converse_stream("some-model", HELLO)
        assert await anext(events) == {"messageStart": {"role": "assistant"}}
        with pytest.raises(ModelError) as failure:
            _ = [event async for event in events]
    assert failure.value.code == "ModelErrorException"


async def test_garbage_instead_of_an_answer(speaking: Speaking) -> None:
    async with speaking(Says("x", fault=Fault.GARBAGE)) as (model, _):
        with pytest.raises(ModelError) as failure:
            await model.converse("some-model", HELLO)
    assert failure.value.code == "ModelErrorException"


async def test_a_reader_may_leave_in_the_middle(speaking: Speaking) -> None:
    async with speaking(Says("a rather long answer")) as (model, _):
        events = model.converse_stream("some-model", HELLO)
        assert await anext(events) == {"messageStart": {"role": "assistant"}}
        await asyncio.wait_for(events.aclose(), 5)
        assert (await model.converse("some-model", HELLO))["stopReason"] == "end_turn"
