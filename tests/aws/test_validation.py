"""A request that breaks its model is refused with the member's name and the rule it broke."""

import json
from typing import Any

import pytest

from innkeeper.aws.models import AGENTCORE, operations, service_model
from innkeeper.aws.patterns import compiled
from innkeeper.aws.request import SignedRequest
from innkeeper.aws.restjson import RestJson
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest

CODEC = RestJson(map(service_model, AGENTCORE))
RUNTIME: Document = {
    "agentRuntimeName": "my_agent",
    "agentRuntimeArtifact": {"containerConfiguration": {"containerUri": "public.ecr.aws/a/b:1"}},
    "roleArn": "arn:aws:iam::123456789012:role/agent",
    "networkConfiguration": {"networkMode": "PUBLIC"},
}
EVENT: Document = {"actorId": "a", "eventTimestamp": 1_700_000_000.25, "payload": [{"blob": {"a": 1}}]}
EVENTS = "/memories/memory-a1B2c3D4e5/events"


def read(method: str, path: str, body: bytes | Document = b"", query: bytes = b"") -> Document:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    match = CODEC.match(SignedRequest(method, path, query, {}))
    assert match is not None
    return match.decode(content)


def broken(method: str, path: str, body: bytes | Document = b"", query: bytes = b"") -> dict[str, str]:
    """The rules that a request breaks, by member."""
    with pytest.raises(InvalidRequest) as failure:
        read(method, path, body, query)
    assert failure.value.reason == "FieldValidationFailed"
    return {field.name: field.message.partition("constraint: ")[2] for field in failure.value.fields}


def runtime(**changes: Any) -> dict[str, str]:
    return broken("PUT", "/runtimes/", RUNTIME | changes)


def test_a_right_request_passes_and_gets_its_token() -> None:
    parameters = read("PUT", "/runtimes/", RUNTIME | {"madeUpTomorrow": 1, "description": None})
    assert len(parameters.pop("clientToken")) == 36
    assert parameters == RUNTIME
    assert read("PUT", "/runtimes/", RUNTIME | {"clientToken": "c" * 33})["clientToken"] == "c" * 33


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as failure:
        read("PUT", "/runtimes/", {"agentRuntimeName": "1", "roleArn": "nobody"})
    assert [field.name for field in failure.value.fields] == [
        "agentRuntimeName",
        "roleArn",
        "agentRuntimeArtifact",
    ]
    assert failure.value.message.startswith(
        "3 validation errors detected: Value at 'agentRuntimeName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z][a-zA-Z0-9_]{0,47}; "
        "Value at 'roleArn' failed to satisfy constraint: Member must satisfy regular expression pattern: "
    )


def test_required() -> None:
    network = {"networkMode": "VPC", "networkModeConfig": {"subnets": ["subnet-12345678"]}}
    assert runtime(networkConfiguration=network) == {
        "networkConfiguration.networkModeConfig.securityGroups": "Member must not be null"
    }
    assert runtime(roleArn=None) == {"roleArn": "Member must not be null"}


def test_enum() -> None:
    (rule,) = runtime(networkConfiguration={"networkMode": "MOON"}).values()
    assert rule == "Member must satisfy enum value set: [PUBLIC, VPC]"


def test_length() -> None:
    assert runtime(description="d" * 4097) == {
        "description": "Member must have length less than or equal to 4096"
    }
    assert runtime(clientToken="c" * 32) == {
        "clientToken": "Member must have length greater than or equal to 33"
    }
    artifact: Document = {"codeConfiguration": {"code": {"s3": {"bucket": "b-c-d", "prefix": "p"}}}}
    artifact["codeConfiguration"] |= {"runtime": "PYTHON_3_12", "entryPoint": []}
    assert runtime(agentRuntimeArtifact=artifact) == {
        "agentRuntimeArtifact.codeConfiguration.entryPoint": (
            "Member must have length greater than or equal to 1"
        )
    }


def test_range() -> None:
    assert runtime(lifecycleConfiguration={"idleRuntimeSessionTimeout": 59}) == {
        "lifecycleConfiguration.idleRuntimeSessionTimeout": (
            "Member must have value greater than or equal to 60"
        )
    }
    assert broken("POST", "/runtimes/", query=b"maxResults=101") == {
        "maxResults": "Member must have value less than or equal to 100"
    }


def test_an_integer_too_large_to_keep() -> None:
    body = {"command": "ls", "timeout": 2**31}
    assert broken("POST", "/runtimes/arn/commands", body) == {
        "body.timeout": "Member must have value less than or equal to 2147483647"
    }


def test_a_union_has_exactly_one_member() -> None:
    none_of_them: list[Document] = [{}, {"madeUpTomorrow": {}}]
    for artifact in none_of_them:
        (rule,) = runtime(agentRuntimeArtifact=artifact).values()
        assert rule.startswith("Member must have exactly one of: containerConfiguration, codeConfiguration")
    both = {"blob": {}, "conversational": {"content": {"text": "t"}, "role": "USER"}}
    (member,) = broken("POST", EVENTS, EVENT | {"payload": [both]})
    assert member == "payload.1.member"


@pytest.mark.parametrize(
    "changes, member, rule",
    [
        ({"roleArn": 5}, "roleArn", "Member must be a string"),
        ({"environmentVariables": []}, "environmentVariables", "Member must be a map"),
        ({"environmentVariables": {"A": None}}, "environmentVariables.A", "Member must not be null"),
        ({"networkConfiguration": "x"}, "networkConfiguration", "Member must be an object"),
        (
            {"lifecycleConfiguration": {"maxLifetime": 60.5}},
            "lifecycleConfiguration.maxLifetime",
            "Member must be an integer",
        ),
        (
            {"lifecycleConfiguration": {"maxLifetime": True}},
            "lifecycleConfiguration.maxLifetime",
            "Member must be an integer",
        ),
    ],
)
def test_a_value_of_another_type(changes: Document, member: str, rule: str) -> None:
    assert runtime(**changes)[member] == rule


def test_lists_hold_no_nothing() -> None:
    assert broken("POST", EVENTS, EVENT | {"payload": [None]}) == {
        "payload.1.member": "Member must not be null"
    }
    assert broken("POST", EVENTS, EVENT | {"payload": {}}) == {"payload": "Member must be a list"}


@pytest.mark.parametrize("moment", [1_700_000_000.25, "2023-11-14T22:13:20.250Z", "1700000000.25"])
def test_a_timestamp_may_come_in_any_form(moment: object) -> None:
    event = read("POST", EVENTS, EVENT | {"eventTimestamp": moment})
    assert event["eventTimestamp"].isoformat() == "2023-11-14T22:13:20.250000+00:00"


@pytest.mark.parametrize("moment", ["soon", "", 1e300, True, {}, "inf", "nan"])
def test_what_is_no_timestamp(moment: object) -> None:
    assert broken("POST", EVENTS, EVENT | {"eventTimestamp": moment})["eventTimestamp"].startswith(
        "Member must be a timestamp"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b"[]",
        b"5",
        b'"text"',
        b"null",
    ],
)
def test_a_body_that_is_no_json_object(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as failure:
        read("PUT", "/runtimes/", body)
    assert failure.value.reason == "CannotParse"


def test_a_document_comes_as_it_is() -> None:
    document = {"a": [None, {"b": "\U0001f600"}], "c": 1.5}
    assert read("POST", EVENTS, EVENT | {"payload": [{"blob": document}]})["payload"] == [{"blob": document}]


def test_what_is_wrong_is_told_in_bounded_length() -> None:
    with pytest.raises(InvalidRequest) as failure:
        read("POST", EVENTS, EVENT | {"payload": [None] * 1000})
    assert len(failure.value.fields) == 50


def test_a_long_token_that_is_no_jwt_is_refused_at_once() -> None:
    body = {"workloadName": "w-1", "userToken": "a" * 131_072}
    assert list(broken("POST", "/identities/GetWorkloadAccessTokenForJWT", body)) == ["userToken"]
    assert read("POST", "/identities/GetWorkloadAccessTokenForJWT", body | {"userToken": "a.b-_=.c"})


def test_unicode_categories() -> None:
    tag = compiled(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+")
    assert tag is not None
    assert tag.fullmatch("Größe \u6d4b\u8bd5 1/2=a@b")
    assert not tag.fullmatch("a<b")
    description = compiled(r"[^\p{C}]*")
    assert description is not None
    assert description.fullmatch("plain é")
    assert not description.fullmatch("a\x00b")


def test_every_pattern_of_the_models_is_checked() -> None:
    for name in (*AGENTCORE, "bedrock-runtime", "sts", "iam"):
        model = service_model(name)
        patterns = {model.shape_for(shape).metadata.get("pattern") for shape in model.shape_names}
        assert [pattern for pattern in patterns if pattern and compiled(pattern) is None] == []


def test_every_operation_has_a_route_of_its_own() -> None:
    for name in AGENTCORE:
        for operation in operations(service_model(name)):
            path = operation.http["requestUri"].replace("{", "").replace("}", "")
            match = CODEC.match(SignedRequest(operation.http["method"], path, b"", {}))
            assert match is not None
            assert match.operation.name == operation.name
