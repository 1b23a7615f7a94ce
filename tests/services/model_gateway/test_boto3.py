"""boto3's own `bedrock-runtime` client against the gateway, with nothing changed but the endpoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from botocore.model import OperationModel

from innkeeper.aws.models import service_model
from innkeeper.aws.operations import operations_of
from innkeeper.aws.planes import Plane
from innkeeper.aws.sigv4 import SignatureVerifier
from innkeeper.aws.wire import Wire
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Credential
from innkeeper.kernel.clock import SystemClock
from innkeeper.services.model_gateway.operations import ModelGatewayOperations
from innkeeper.services.model_gateway.service import ModelGateway
from tests.engines.models.scripted.script import Fails, Fault, Says, Step, ToolCall
from tests.engines.models.scripted.serving import serving
from tests.services.model_gateway.conftest import ACCOUNT, CLAUDE, OpenGateway, caller

HELLO: list[dict[str, Any]] = [{"role": "user", "content": [{"text": "Hello"}]}]
TOOL = {"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object"}}}}


def wire(gateway: ModelGateway) -> Wire:
    async def credential(access_key_id: str, _source: str) -> Credential | None:
        return Credential(access_key_id, "secret", caller())

    async def anything(_call: Call, _operation: OperationModel, _parameters: Document) -> None:
        return None

    operations = operations_of(("bedrock-runtime",), ModelGatewayOperations(gateway))
    plane = Plane("bedrock", "rest-json", (service_model("bedrock-runtime"),), operations)
    verifier = SignatureVerifier(credential, SystemClock(), 300)
    return Wire([plane], verifier, anything, {}, 10_000_000)


@asynccontextmanager
async def bedrock(opened: OpenGateway, *script: Step) -> AsyncIterator[tuple[Any, ModelGateway, Any]]:
    async with opened(*script) as (gateway, server), serving(wire(gateway)) as url:
        client = await asyncio.to_thread(
            boto3.client,
            "bedrock-runtime",
            endpoint_url=url,
            region_name="us-west-2",
            aws_access_key_id="AKIATEST",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}),
        )
        try:
            yield client, gateway, server
        finally:
            client.close()


async def test_converse_with_an_image_and_a_tool(opened: OpenGateway) -> None:
    says = Says("Let me see.", tools=(ToolCall("weather", '{"city": "Oslo"}'),), stop="tool_use")
    image = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    async with bedrock(opened, says) as (client, _, server):
        answer = await asyncio.to_thread(
            client.converse,
            modelId=f"arn:aws:bedrock:us-west-2:{ACCOUNT}:inference-profile/{CLAUDE}",
            messages=[{"role": "user", "content": [{"text": "Weather here?"}, image]}],
            toolConfig={"tools": [TOOL]},
            inferenceConfig={"maxTokens": 100},
        )
    assert answer["stopReason"] == "tool_use"
    text, tool = answer["output"]["message"]["content"]
    assert text == {"text": "Let me see."}
    assert tool["toolUse"]["input"] == {"city": "Oslo"}
    assert answer["usage"]["totalTokens"] == 15
    sent = server.requests[0].body["messages"][0]["content"][1]
    assert sent["image_url"]["url"] == "data:image/png;base64,iVBORw=="


def read_stream(client: Any) -> list[dict[str, Any]]:
    with closing(client.converse_stream(modelId=CLAUDE, messages=HELLO)["stream"]) as events:
        return list(events)


async def test_converse_stream(opened: OpenGateway) -> None:
    async with bedrock(opened, Says("Good morning", reasoning="polite")) as (client, gateway, _):
        events = await asyncio.to_thread(read_stream, client)
        (usage,) = await gateway.usage(ACCOUNT)
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == "Good morning"
    assert "".join(d["reasoningContent"]["text"] for d in deltas if "reasoningContent" in d) == "polite"
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 5
    assert (usage.calls, usage.errors) == (1, 0)


@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (400, "ValidationException"),
        (401, "AccessDeniedException"),
        (429, "ThrottlingException"),
        (500, "ModelErrorException"),
        (503, "ModelNotReadyException"),
        (504, "ModelTimeoutException"),
    ],
)
async def test_failures_are_the_clients_own_exceptions(
    opened: OpenGateway, status: int, exception: str
) -> None:
    async with bedrock(opened, Fails(status)) as (client, _, _server):
        for attempt in (lambda: client.converse(modelId=CLAUDE, messages=HELLO), lambda: read_stream(client)):
            with pytest.raises(getattr(client.exceptions, exception)):
                await asyncio.to_thread(attempt)


async def test_a_broken_stream_is_the_streams_own_exception(opened: OpenGateway) -> None:
    async with bedrock(opened, Says("a rather long answer", fault=Fault.CUT)) as (client, _, _server):
        with pytest.raises(EventStreamError, match="broke off") as failure:
            await asyncio.to_thread(read_stream, client)
    assert failure.value.response["Error"]["Code"] == "modelStreamErrorException"


async def test_invoke_model_points_to_converse(opened: OpenGateway) -> None:
    async with bedrock(opened, Says("ok")) as (client, _, _server):
        with pytest.raises(ClientError, match="ConverseStream"):
            await asyncio.to_thread(client.invoke_model, modelId=CLAUDE, body=b"{}")
