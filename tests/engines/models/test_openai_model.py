"""What is particular to OpenAI-compatible servers, of which no two are the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from innkeeper.engines.models.model import Converse, ModelError
from innkeeper.engines.models.openai_answer import ChatStream, converse_answer
from innkeeper.engines.models.openai_model import OpenAiModel
from innkeeper.engines.models.openai_request import chat_request
from innkeeper.engines.models.sdk import reading_answer
from tests.engines.models.scripted.openai_server import ScriptedOpenAi
from tests.engines.models.scripted.script import Fails, Raw, Says, ToolCall
from tests.engines.models.scripted.server import server_sent_event
from tests.engines.models.test_contract import HELLO, PNG, TOOLS, check_events, events_of, put_together


def messages(content: list[Converse], role: str = "user") -> Any:
    return chat_request("m", {"messages": [{"role": role, "content": content}]}, "max_tokens")["messages"]


async def answered(*steps: Raw | Says | Fails, streaming: bool = True) -> list[Converse]:
    async with ScriptedOpenAi(*steps) as server:
        model = OpenAiModel(server.url, "", 10)
        try:
            if streaming:
                return await events_of(model, HELLO)
            return [await model.converse("m", HELLO)]
        finally:
            await model.close()


def stream(*deltas: Converse, finish: str = "tool_calls") -> Raw:
    choices: list[Converse] = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    return Raw(b"".join(server_sent_event({"id": "1", "choices": [choice]}) for choice in choices))


def call(index: int | None, arguments: str, name: str | None = None, id: str | None = None) -> Converse:
    return {"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}


def test_openai_itself_is_asked_with_its_newer_limit() -> None:
    request = {**HELLO, "inferenceConfig": {"maxTokens": 5}}
    assert chat_request("gpt-5", request, "max_completion_tokens")["max_completion_tokens"] == 5


def test_text_alone_goes_as_a_plain_string() -> None:
    assert messages([{"text": "a"}, {"text": "b"}]) == [{"role": "user", "content": "a\n\nb"}]


def test_tool_results_stand_before_what_the_user_says() -> None:
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    result = {"toolUseId": "t1", "status": "error", "content": [{"text": "no luck"}, image]}
    tool, user = messages([{"text": "look"}, {"toolResult": result}])
    assert tool["role"] == "tool"
    assert tool["tool_call_id"] == "t1"
    assert tool["content"].startswith("The tool failed: no luck")
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]
    assert user["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


def test_an_assistants_reasoning_is_not_sent_back() -> None:
    reasoning = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    assert messages([reasoning, {"text": "Yes."}], "assistant") == [{"role": "assistant", "content": "Yes."}]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"auto": {}}, "auto"),
        ({"any": {}}, "required"),
        ({"tool": {"name": "weather"}}, {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tool_choices(choice: Converse, sent: Any) -> None:
    request = {**HELLO, "toolConfig": {**TOOLS, "toolChoice": choice}}
    assert chat_request("m", request, "max_tokens")["tool_choice"] == sent


def test_an_output_schema_becomes_a_response_format() -> None:
    structure = {"jsonSchema": {"schema": '{"type": "object"}', "name": "point"}}
    request = {**HELLO, "outputConfig": {"textFormat": {"type": "json_schema", "structure": structure}}}
    sent = chat_request("m", request, "max_tokens")["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "point", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("request_part", "reason"),
    [
        ({"guardrailConfig": {"guardrailIdentifier": "g"}}, "guardrailConfig"),
        ({"additionalModelRequestFields": {"model": "dearer"}}, "may not set model"),
        ({"messages": [{"role": "user", "content": [{"video": {}}]}]}, "'video'"),
        ({"toolConfig": {"tools": [{"systemTool": {"name": "x"}}]}}, "systemTool"),
    ],
)
def test_what_cannot_be_done_is_said(request_part: Converse, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as failure:
        chat_request("m", {**HELLO, **request_part}, "max_tokens")
    assert failure.value.status == 400


def test_documents_must_be_text_and_images_bytes() -> None:
    pdf = {"document": {"format": "pdf", "name": "d", "source": {"bytes": b"%PDF"}}}
    elsewhere = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}}
    for block in (pdf, elsewhere):
        with pytest.raises(ModelError):
            messages([block])


async def test_one_hiccup_is_retried() -> None:
    assert (await answered(Fails(500), Says("ok"), streaming=False))[0]["stopReason"] == "end_turn"


async def test_calls_that_all_claim_index_0_are_kept_apart() -> None:
    script = stream(call(0, '{"a": 1}', "f", "x"), call(0, '{"b": 2}', "g", "y"))
    events = await answered(script)
    check_events(events)
    uses = [block["toolUse"] for block in put_together(events)["content"]]
    assert [(use["toolUseId"], use["input"]) for use in uses] == [("x", {"a": 1}), ("y", {"b": 2})]


async def test_a_call_without_id_and_arguments_gets_both() -> None:
    events = await answered(stream(call(None, "", "now"), finish="stop"))
    check_events(events)
    answer = put_together(events)
    assert answer["content"][0]["toolUse"]["toolUseId"].startswith("tooluse_")
    assert answer["content"][0]["toolUse"]["input"] == {}
    assert answer["stopReason"] == "tool_use"


async def test_reasoning_under_its_other_name_and_no_usage() -> None:
    events = await answered(stream({"reasoning": "hm"}, {"content": "Yes."}, finish="stop"))
    answer = put_together(events)
    assert [next(iter(block)) for block in answer["content"]] == ["reasoningContent", "text"]
    assert answer["usage"]["totalTokens"] == 0


@pytest.mark.parametrize("arguments", ["{oops", "[1]", '"text"'])
async def test_arguments_that_are_no_json_object(arguments: str) -> None:
    says = Says(tools=(ToolCall("f", arguments),), stop="tool_use")
    for streaming in (True, False):
        with pytest.raises(ModelError, match="tool arguments"):
            await answered(says, streaming=streaming)


@pytest.mark.parametrize(
    "body", [b'{"choices": []}', b"{}", b"[]", b"null", b'{"choices": [{"message": 1}]}']
)
async def test_answers_of_the_wrong_shape(body: bytes) -> None:
    with pytest.raises(ModelError, match="protocol"):
        await answered(Raw(body), streaming=False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"data: [DONE]\n\n",
        b'data: {"error": {"message": "out of memory"}}\n\n',
        b"data: 5\n\n",
        b'data: {"choices": [{"delta": 7}]}\n\n',
    ],
)
async def test_streams_of_the_wrong_shape(body: bytes) -> None:
    with pytest.raises(ModelError):
        await answered(Raw(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "delta", "content", "tool_calls", "function", "usage", "index"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["choices", "usage"]), JSON))
def test_any_document_is_an_answer_or_a_model_error(document: Converse) -> None:
    answer = ChatStream(0.0)
    for read in (
        lambda: converse_answer(ChatCompletion.construct(**document), 0.0),
        lambda: list(answer.events(ChatCompletionChunk.construct(**document))),
    ):
        try:
            with reading_answer():
                read()
        except ModelError:
            continue


@given(
    st.text(max_size=20),
    st.lists(
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3), max_size=3
    ),
    st.integers(1, 5),
)
def test_answers_survive_being_cut_into_pieces(text: str, inputs: list[Converse], size: int) -> None:
    deltas: list[Converse] = [{"content": text[at : at + size]} for at in range(0, len(text), size)]
    for index, tool_input in enumerate(inputs):
        arguments = json.dumps(tool_input)
        deltas.append(call(index, "", "f", f"id{index}"))
        deltas += [call(index, arguments[at : at + size]) for at in range(0, len(arguments), size)]
    answer = ChatStream(0.0)
    choices: list[Converse] = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [
        event
        for choice in choices
        for event in answer.events(ChatCompletionChunk.construct(choices=[choice]))
    ]
    events += answer.end()
    content = put_together(events)["content"]
    assert "".join(block.get("text", "") for block in content) == text
    assert [block["toolUse"]["input"] for block in content if "toolUse" in block] == inputs
