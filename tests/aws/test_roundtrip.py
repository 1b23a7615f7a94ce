"""Whatever botocore can send, the codec reads; whatever the codec writes, botocore reads."""

from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.utils import percent_encode_sequence
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from innkeeper.aws.answer import Answer
from innkeeper.aws.models import AGENTCORE, operations, service_model
from innkeeper.aws.query import QueryProtocol
from innkeeper.aws.request import SignedRequest
from innkeeper.aws.restjson import RestJson
from tests.aws.shapes import values

few = settings(
    max_examples=5,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

AGENTCORE_CODEC = RestJson(map(service_model, AGENTCORE))
MODEL_CODEC = RestJson([service_model("bedrock-runtime")])
REST = [
    (AGENTCORE_CODEC, operation) for name in AGENTCORE for operation in operations(service_model(name))
] + [
    (MODEL_CODEC, service_model("bedrock-runtime").operation_model(name))
    for name in ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream")
]
IAM = ("CreateRole", "GetRole", "PutRolePolicy", "GetRolePolicy", "ListRoles", "TagRole", "ListRoleTags")
QUERY = operations(service_model("sts")) + [service_model("iam").operation_model(name) for name in IAM]


def rest_name(case: tuple[RestJson, OperationModel]) -> str:
    return str(case[1].name)


@pytest.mark.parametrize("case", REST, ids=rest_name)
def test_every_request_that_botocore_writes_is_read_back(case: tuple[RestJson, OperationModel]) -> None:
    codec, operation = case

    @few
    @given(values(operation.input_shape) if operation.input_shape else st.just({}))
    def read_back(sent: dict[str, Any]) -> None:
        http = create_serializer("rest-json").serialize_to_request(sent, operation)
        query = percent_encode_sequence(http["query_string"] or {}).encode()
        headers = {name.lower(): str(value) for name, value in http["headers"].items()}
        match = codec.match(SignedRequest(http["method"], http["url_path"], query, headers))
        assert match is not None
        assert match.operation.name == operation.name
        assert without_filled_in(match.decode(http["body"]), sent, operation) == sent

    read_back()


@pytest.mark.parametrize("case", REST, ids=rest_name)
async def test_every_answer_is_read_by_botocore(case: tuple[RestJson, OperationModel]) -> None:
    codec, operation = case
    shape = operation.output_shape
    stream = shape.event_stream_name if shape else None

    @few
    @given(outputs(operation), st.lists(events(operation), max_size=2))
    def read_by_botocore(given_output: dict[str, Any], given_events: list[dict[str, Any]]) -> None:
        if stream:
            given_output[stream] = drawn(given_events)
        answer = codec.answer(operation, given_output, "request-1")
        parsed = parse(operation, answer)
        if stream:
            assert list(parsed.pop(stream)) == given_events
            del given_output[stream]
        if shape and operation.has_streaming_output and not stream:
            payload = shape.serialization["payload"]
            assert parsed.pop(payload).read() == given_output.pop(payload, b"")
        assert parsed == given_output | {name: parsed[name] for name in status_members(operation)}

    read_by_botocore()


@pytest.mark.parametrize("operation", QUERY, ids=lambda operation: operation.name)
def test_every_query_request_is_read_and_answer_written(operation: OperationModel) -> None:
    codec = QueryProtocol(operation.service_model)

    @few
    @given(
        values(operation.input_shape, plain=True).filter(all_told) if operation.input_shape else st.just({}),
        values(operation.output_shape, plain=True).filter(all_told)
        if operation.output_shape
        else st.just({}),
    )
    def both_ways(sent: dict[str, Any], output: dict[str, Any]) -> None:
        http = create_serializer("query").serialize_to_request(sent, operation)
        body = urlencode(http["body"], doseq=True).encode()
        match = codec.match(SignedRequest("POST", "/", b"", {}), body)
        assert match is not None
        assert match.decode(body) == sent
        parsed = parse(operation, codec.answer(operation, output, "request-1"))
        assert parsed == output

    both_ways()


def outputs(operation: OperationModel) -> st.SearchStrategy[dict[str, Any]]:
    """All but the event stream, which has its own strategy."""
    shape = operation.output_shape
    if shape is None or int(operation.http.get("responseCode", 200)) == 204:
        return st.just({})
    if not shape.event_stream_name and not status_members(operation):
        return values(shape)
    left_out = {shape.event_stream_name, *status_members(operation)}
    return values(shape).map(lambda output: {k: v for k, v in output.items() if k not in left_out})


def events(operation: OperationModel) -> st.SearchStrategy[dict[str, Any]]:
    shape = operation.output_shape
    if shape is None or not shape.event_stream_name:
        return st.just({})
    members = shape.members[shape.event_stream_name].members.items()
    plain = {name: member for name, member in members if not member.metadata.get("exception")}
    return st.one_of([st.fixed_dictionaries({name: values(member)}) for name, member in plain.items()])


def status_members(operation: OperationModel) -> list[str]:
    members = operation.output_shape.members.items() if operation.output_shape else ()
    return [name for name, member in members if member.serialization.get("location") == "statusCode"]


def without_filled_in(
    read: dict[str, Any], sent: dict[str, Any], operation: OperationModel
) -> dict[str, Any]:
    """Without the tokens that the server made up, botocore's content type, and a payload that was empty."""
    made_up = {"contentType", *operation.idempotent_members} - sent.keys()
    return {name: value for name, value in read.items() if name not in made_up and (name in sent or value)}


def all_told(value: Any) -> bool:
    """The query protocol cannot tell an empty structure from none at all."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(part not in ({}, []) and all_told(part) for part in parts)


async def drawn(items: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for item in items:
        yield item


class Chunks:
    """The part of urllib3's response that botocore's event streams use."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def stream(self) -> Iterator[bytes]:
        yield from self._chunks

    def close(self) -> None:
        self._chunks = []


def parse(operation: OperationModel, answer: Answer) -> dict[str, Any]:
    body: Any = answer.body
    if not isinstance(body, bytes):
        body = Chunks(run_through(body))
    elif operation.has_streaming_output:
        body = BytesIO(body)
    protocol = operation.service_model.metadata["protocol"]
    response = {
        "status_code": answer.status,
        "headers": HeadersDict(answer.headers),
        "body": body,
        "context": {"operation_name": operation.name},
    }
    parsed: dict[str, Any] = create_parser(protocol).parse(response, operation.output_shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


def run_through(stream: AsyncIterator[bytes]) -> list[bytes]:
    """Steps an iterator that never really waits, since hypothesis calls no coroutines."""
    chunks: list[bytes] = []
    while True:
        try:
            stream.__anext__().__await__().__next__()
        except StopIteration as step:
            chunks.append(step.value)
        except StopAsyncIteration:
            return chunks
