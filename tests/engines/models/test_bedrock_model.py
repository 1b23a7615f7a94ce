"""What is particular to Bedrock itself."""

import pytest

from innkeeper.engines.models.bedrock_model import BedrockModel
from innkeeper.engines.models.model import HOP_HEADER, Converse, ModelError
from tests.engines.models.scripted.bedrock_server import ScriptedBedrock, event_frame, exception_frame, frame
from tests.engines.models.scripted.script import Fails, Raw, Says
from tests.engines.models.test_contract import HELLO, PNG, events_of

START = event_frame("messageStart", {"role": "assistant"})


async def streamed(body: bytes) -> list[Converse]:
    async with ScriptedBedrock(Raw(body)) as server:
        model = BedrockModel("us-west-2", "operator", 10, base_url=server.url)
        try:
            return await events_of(model, HELLO)
        finally:
            await model.close()


def test_its_own_endpoint_is_not_taken_from_the_environment() -> None:
    assert BedrockModel("eu-north-1")._endpoint == "https://bedrock-runtime.eu-north-1.amazonaws.com"


async def test_a_request_is_passed_on_unchanged_and_marked() -> None:
    request = {
        "messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": PNG}}}]}],
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
    }
    async with ScriptedBedrock(Says("ok")) as server:
        model = BedrockModel("us-west-2", "operator", 10, base_url=server.url)
        await model.converse("arn:aws:bedrock:us-west-2::foundation-model/maker.model-1", request)
        await model.close()
    sent = server.requests[0]
    assert sent.path == (
        "/model/arn%3Aaws%3Abedrock%3Aus-west-2%3A%3Afoundation-model%2Fmaker.model-1/converse"
    )
    assert sent.body["guardrailConfig"] == request["guardrailConfig"]
    assert sent.headers[HOP_HEADER] == "1"
    assert HOP_HEADER in sent.headers["authorization"]


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("throttlingException", "ThrottlingException", 429),
        ("validationException", "ValidationException", 400),
        ("modelStreamErrorException", "ModelErrorException", 424),
    ],
)
async def test_exceptions_inside_a_stream(name: str, code: str, status: int) -> None:
    with pytest.raises(ModelError, match="slow down") as failure:
        await streamed(START + exception_frame(name, {"message": "slow down"}))
    assert (failure.value.code, failure.value.status) == (code, status)


async def test_events_that_are_not_known_yet_are_left_out() -> None:
    stop = event_frame("messageStop", {"stopReason": "end_turn"})
    events = await streamed(START + event_frame("telepathy", {"a": 1}) + stop)
    assert [next(iter(event)) for event in events] == ["messageStart", "messageStop"]


@pytest.mark.parametrize("rest", [b"", START[:20], frame({":message-type": "event"}, b"{}"), b"\0" * 40])
async def test_streams_of_the_wrong_shape(rest: bytes) -> None:
    with pytest.raises(ModelError) as failure:
        await streamed(START + rest)
    assert failure.value.code == "ModelErrorException"


async def test_the_operators_identity_does_not_show() -> None:
    refusal = Fails(403, "User: arn:aws:iam::111122223333:user/operator is not authorized")
    async with ScriptedBedrock(refusal) as server:
        model = BedrockModel("us-west-2", "operator", 10, base_url=server.url)
        with pytest.raises(ModelError) as failure:
            await model.converse("m", HELLO)
        await model.close()
    assert "111122223333" not in failure.value.message


async def test_a_missing_profile_or_region_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="ProfileNotFound") as failure:
        await BedrockModel("us-west-2", "nobody").converse("m", HELLO)
    assert failure.value.status == 403
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(ModelError, match="region"):
        await BedrockModel("", "operator").converse("m", HELLO)
