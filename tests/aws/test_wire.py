"""A caller with boto3, in front of a wire with a few operations behind it."""

from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from starlette.responses import Response

from innkeeper.aws.planes import RawPlane
from innkeeper.aws.request import RawRequest
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Caller, CallerKind, Credential
from innkeeper.kernel.errors import (
    AccessDenied,
    AgentFailed,
    Conflict,
    FieldError,
    InnkeeperError,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    RetryableConflict,
    Throttled,
    Unauthorized,
    Unavailable,
)
from tests.aws.serving import ROOT_KEY, Served, client, running

RUNTIME = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/my_agent-a1B2c3D4e5"
MEMORY = "memory-a1B2c3D4e5"

FAILURES: dict[str, Exception] = {
    "invalid": InvalidRequest("name is taken", (FieldError("name", "taken"),), "ResourceConflict"),
    "not-found": NotFound("no such runtime"),
    "conflict": Conflict("it is being deleted"),
    "quota": QuotaExceeded("at most 10"),
    "throttled": Throttled("slow down"),
    "denied": AccessDenied("not yours"),
    "failed": AgentFailed("the agent answered 500"),
    "retryable": RetryableConflict("in transition"),
    "unavailable": Unavailable("set INNKEEPER_MODELS"),
    "internal": InnkeeperError("the disk is full"),
    "bug": ZeroDivisionError("secret detail"),
}


async def fail(call: Call, parameters: Document) -> Document:
    name = parameters.get("agentRuntimeId") or parameters.get("memoryId") or call.headers["x-amzn-failure"]
    raise FAILURES[name.rpartition("-")[0].replace("_", "-")]


async def invoke_agent_runtime(call: Call, parameters: Document) -> Document:
    return {
        "statusCode": 201,
        "contentType": parameters.get("contentType", "text/plain"),
        "runtimeSessionId": parameters["runtimeSessionId"],
        "mcpSessionId": call.caller.user_id,
        "response": parameters["payload"][::-1],
    }


async def create_role(call: Call, parameters: Document) -> Document:
    if parameters["RoleName"] == "taken":
        raise Conflict("Role with name taken already exists.")
    return {"Role": {name: parameters[name] for name in ("RoleName", "Tags", "Description")}}


async def get_role(call: Call, parameters: Document) -> Document:
    raise NotFound("The role <none> & more cannot be found.")


async def get_caller_identity(call: Call, parameters: Document) -> Document:
    return {"Account": call.caller.account, "Arn": call.caller.principal, "UserId": call.caller.account}


async def bucket(call: Call, request: RawRequest) -> Response:
    if request.method == "GET":
        missing = NotFound("The specified key does not exist.")
        missing.code = "NoSuchKey"
        raise missing
    return Response(headers={"ETag": f'"{len(request.body)}"'})


async def verify(parameters: Document, token: str | None, headers: Mapping[str, str]) -> Caller:
    if token != "good":
        raise Unauthorized("no good token", 'Bearer resource_metadata="http://here"')
    return Caller("123456789012", "user-1", "eu-west-1", CallerKind.BEARER, user_id="user-1")


async def authorize(call: Call, operation: OperationModel, parameters: Document) -> None:
    if parameters.get("agentRuntimeId", "").startswith("forbidden"):
        raise AccessDenied(f"{call.caller.principal} is not authorized to perform: {operation.name}")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    served = Served(
        agentcore={
            "GetAgentRuntime": fail,
            "GetMemory": fail,
            "ListActors": fail,
            "InvokeAgentRuntime": invoke_agent_runtime,
        },
        sts={"GetCallerIdentity": get_caller_identity},
        iam={"CreateRole": create_role, "GetRole": get_role},
        raw=[RawPlane("s3", bucket)],
        bearer={"InvokeAgentRuntime": verify},
        authorize=authorize,
    )
    with running(served.wire()) as url:
        yield url


@pytest.mark.parametrize(
    "name, exception, status",
    [
        ("invalid", "ValidationException", 400),
        ("not_found", "ResourceNotFoundException", 404),
        ("throttled", "ThrottlingException", 429),
        ("denied", "AccessDeniedException", 403),
        ("internal", "InternalServerException", 500),
        ("bug", "InternalServerException", 500),
        ("failed", "RuntimeClientError", 424),
        ("unavailable", "ServiceUnavailableException", 503),
        ("forbidden", "AccessDeniedException", 403),
    ],
)
def test_failures_are_the_exceptions_of_the_model(url: str, name: str, exception: str, status: int) -> None:
    control = client("bedrock-agentcore-control", url)
    with pytest.raises(ClientError) as failure:
        control.get_agent_runtime(agentRuntimeId=f"{name}-a1B2c3D4e5")
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert failure.value.response["Error"]["Code"] == exception
    modelled = getattr(control.exceptions, exception, ClientError)
    assert isinstance(failure.value, modelled)


def test_memory_operations_have_names_of_their_own(url: str) -> None:
    memory = client("bedrock-agentcore", url)
    for name, exception in (
        ("throttled", memory.exceptions.ThrottledException),
        ("internal", memory.exceptions.ServiceException),
        ("quota", memory.exceptions.ServiceQuotaExceededException),
    ):
        with pytest.raises(exception):
            memory.list_actors(memoryId=f"{name}-a1B2c3D4e5")


def test_an_invalid_request_says_which_member_and_why(url: str) -> None:
    control = client("bedrock-agentcore-control", url)
    with pytest.raises(control.exceptions.ValidationException) as failure:
        control.get_agent_runtime(agentRuntimeId="not an id")
    answer = failure.value.response
    assert answer["Error"]["Message"] == (
        "1 validation error detected: Value at 'agentRuntimeId' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z][a-zA-Z0-9_]{0,99}-[a-zA-Z0-9]{10}"
    )
    assert answer["reason"] == "FieldValidationFailed"
    assert [field["name"] for field in answer["fieldList"]] == ["agentRuntimeId"]


def test_what_went_wrong_inside_stays_in_the_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ClientError) as failure:
        client("bedrock-agentcore-control", url).get_agent_runtime(agentRuntimeId="bug-a1B2c3D4e5")
    message = failure.value.response["Error"]["Message"]
    request_id = failure.value.response["ResponseMetadata"]["RequestId"]
    assert "secret detail" not in message
    assert request_id in message
    assert request_id in caplog.text
    assert "secret detail" in caplog.text


def test_an_operation_nobody_implements_says_so(url: str) -> None:
    with pytest.raises(ClientError, match="CreateGateway is not implemented") as failure:
        client("bedrock-agentcore-control", url).create_gateway(
            name="g", roleArn="arn:aws:iam::123456789012:role/r", authorizerType="NONE"
        )
    assert failure.value.response["Error"]["Code"] == "NotImplementedException"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_service_that_is_not_here_is_unknown(url: str) -> None:
    with pytest.raises(ClientError, match="no service 'lambda'") as failure:
        client("lambda", url).list_functions()
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_payload_status_and_headers_travel_beside_the_body(url: str) -> None:
    session = "s" * 33
    answer = client("bedrock-agentcore", url).invoke_agent_runtime(
        agentRuntimeArn=RUNTIME, payload=b"\x00abc", contentType="text/x", runtimeSessionId=session
    )
    assert answer["response"].read() == b"cba\x00"
    assert (answer["statusCode"], answer["contentType"], answer["runtimeSessionId"]) == (
        201,
        "text/x",
        session,
    )
    assert answer["ResponseMetadata"]["RequestId"]


def test_a_bearer_token_is_taken_where_the_operation_allows_it(url: str) -> None:
    path = "/runtimes/" + RUNTIME.replace(":", "%3A").replace("/", "%2F") + "/invocations"
    assert ask(url, "POST", path, {"Authorization": "Bearer good"})[:2] == (201, b"olleh")
    for headers in ({"Authorization": "Bearer bad"}, {}):
        status, _, answered = ask(url, "POST", path, headers)
        assert status == 401
        assert answered["www-authenticate"] == 'Bearer resource_metadata="http://here"'
        assert answered["x-amzn-errortype"] == "UnauthorizedException"
    status, body, _ = ask(url, "POST", "/runtimes/short/invocations", {"Authorization": "Basic good"})
    assert (status, b"Missing Authentication Token" in body) == (403, True)


def test_sts_and_iam_answer_in_xml(url: str) -> None:
    assert client("sts", url).get_caller_identity()["Arn"] == ROOT_KEY.caller.principal
    iam = client("iam", url)
    tags = [{"Key": "a + b", "Value": "é"}, {"Key": "d", "Value": ""}]
    trust = "{}"
    about = "<b> & 'c'"
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust, Tags=tags, Description=about)["Role"]
    assert role == {"RoleName": "r", "Tags": tags, "Description": about}
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="taken", AssumeRolePolicyDocument=trust)
    with pytest.raises(iam.exceptions.NoSuchEntityException, match="The role <none> & more"):
        iam.get_role(RoleName="none")
    with pytest.raises(ClientError, match="not implemented"):
        iam.list_roles()
    with pytest.raises(ClientError) as failure:
        iam.get_role(RoleName="not/a/name")
    assert failure.value.response["Error"]["Code"] == "ValidationError"


def test_s3_answers_and_fails_in_its_own_way(url: str) -> None:
    s3 = client("s3", url)
    assert s3.put_object(Bucket="code", Key="a b/c.zip", Body=b"12345")["ETag"] == '"5"'
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="code", Key="missing")
    link = s3.generate_presigned_url("put_object", {"Bucket": "code", "Key": "a b/ü+.zip"}, ExpiresIn=60)
    path = link.removeprefix(url)
    assert ask(url, "PUT", path, {})[0] == 200
    status, body, headers = ask(url, "PUT", path.replace("a%20b", "c"), {})
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    assert headers["x-amzn-requestid"].encode() in body
    stranger = client("s3", url, Credential("AKIANOBODY", "x", ROOT_KEY.caller))
    with pytest.raises(ClientError) as failure:
        stranger.get_object(Bucket="code", Key="missing")
    assert failure.value.response["Error"]["Code"] == "InvalidAccessKeyId"


def ask(url: str, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes, dict[str, Any]]:
    address = urlsplit(url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=10)
    try:
        connection.request(method, path, b"hello", dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
