"""A caller signs with botocore, and is known, or is told what is wrong."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from innkeeper.aws.request import SignedRequest
from innkeeper.aws.sigv4 import SignatureVerifier, signing_service
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Credential
from innkeeper.kernel.errors import AccessDenied
from tests.aws.serving import EXPIRED_KEY, ROLE_KEY, ROOT_KEY, Served, ShiftedClock, client, find, running


async def get_resource_policy(call: Call, parameters: Document) -> Document:
    """Tells the caller who they are and what they asked for."""
    return {"policy": f"{call.caller.access_key_id} {call.caller.region} {parameters['resourceArn']}"}


async def create_event(call: Call, parameters: Document) -> Document:
    return {"event": parameters | {"eventId": "0#a"}}


async def list_actors(call: Call, parameters: Document) -> Document:
    return {"actorSummaries": [{"actorId": parameters.get("nextToken", "")}]}


OPERATIONS = {
    "CreateEvent": create_event,
    "ListActors": list_actors,
    "GetResourcePolicy": get_resource_policy,
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(Served(agentcore=OPERATIONS).wire()) as url:
        yield url


def code_of(url: str, key: Credential) -> str:
    with pytest.raises(ClientError) as failure:
        client("bedrock-agentcore", url, key).list_actors(memoryId="memory-a1B2c3D4e5")
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(failure.value.response["Error"]["Code"])


def test_a_caller_with_the_right_secret_is_known(url: str) -> None:
    page = client("bedrock-agentcore", url).list_actors(memoryId="memory-a1B2c3D4e5", nextToken="a b+c/d~é&=")
    assert page["actorSummaries"] == [{"actorId": "a b+c/d~é&="}]


def test_an_arn_in_the_path_is_signed_and_decoded(url: str) -> None:
    arn = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/my_agent-a1B2c3D4e5"
    answer = client("bedrock-agentcore-control", url).get_resource_policy(resourceArn=arn)
    assert answer["policy"] == f"AKIAROOT eu-west-1 {arn}"


def test_short_lived_credentials_carry_their_token(url: str) -> None:
    assert client("bedrock-agentcore", url, ROLE_KEY).list_actors(memoryId="memory-a1B2c3D4e5")
    assert code_of(url, replace(ROLE_KEY, session_token="stolen")) == "UnrecognizedClientException"
    assert code_of(url, replace(ROLE_KEY, session_token="")) == "UnrecognizedClientException"
    assert code_of(url, replace(ROOT_KEY, session_token="stale")) == "UnrecognizedClientException"


def test_a_wrong_secret_an_unknown_key_and_an_expired_one_are_refused(url: str) -> None:
    assert code_of(url, replace(ROOT_KEY, secret_access_key="guess")) == "InvalidSignatureException"
    assert code_of(url, replace(ROOT_KEY, access_key_id="AKIANOBODY")) == "UnrecognizedClientException"
    assert code_of(url, EXPIRED_KEY) == "ExpiredTokenException"
    assert code_of(url, replace(EXPIRED_KEY, secret_access_key="guess")) == "InvalidSignatureException"


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_that_is_off_by_more_than_five_minutes_is_refused(minutes: int) -> None:
    with running(Served(agentcore=OPERATIONS, clock_shift=timedelta(minutes=minutes)).wire()) as url:
        assert code_of(url, ROOT_KEY) == "InvalidSignatureException"


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_clock_that_is_off_by_less_is_fine(minutes: int) -> None:
    with running(Served(agentcore=OPERATIONS, clock_shift=timedelta(minutes=minutes)).wire()) as url:
        assert client("bedrock-agentcore", url).list_actors(memoryId="memory-a1B2c3D4e5")


def test_a_body_changed_on_its_way_is_refused(url: str) -> None:
    request = signed("POST", f"{url}/memories/memory-a1B2c3D4e5/actors", b'{"maxResults": 5}')
    assert send(request, b'{"maxResults": 5}')[0] == 200
    assert send(request, b'{"maxResults": 6}')[0] == 403


def test_a_declared_body_hash_must_be_that_of_the_body(url: str) -> None:
    address = f"{url}/memories/memory-a1B2c3D4e5/actors"
    for declared in ("0" * 64, "UNSIGNED-PAYLOAD"):
        request = signed("POST", address, b"{}", {"X-Amz-Content-SHA256": declared})
        assert send(request, b"{}")[0] == 403


def test_a_request_that_nobody_signed_is_refused(url: str) -> None:
    address = urlsplit(url)
    refused: tuple[tuple[dict[str, str], str], ...] = (
        ({}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Basic abc"}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer abc"}, "MissingAuthenticationTokenException"),
        ({"Authorization": "AWS4-HMAC-SHA256 Credential=x"}, "IncompleteSignatureException"),
        ({"Authorization": "AWS4-ECDSA-P256-SHA256 Credential=x"}, "IncompleteSignatureException"),
    )
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=10)) as connection:
        for headers, code in refused:
            connection.request("POST", "/memories/memory-a1B2c3D4e5/actors", headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.getheader("x-amzn-errortype")) == (403, code)


async def test_a_presigned_websocket_handshake_names_its_caller() -> None:
    handshake = presigned("ws://innkeeper.test/runtimes/arn%3Aaws/ws?qualifier=DEFAULT", expires=300)
    for host in ("innkeeper.test", "innkeeper.test:8471"):
        known = await verifier().verify(replace(handshake, headers={"host": host}), b"")
        assert (known.caller.access_key_id, known.caller.region) == ("AKIAROOT", "eu-west-1")
        assert known.service == "bedrock-agentcore"
    assert signing_service({}, handshake.query_string) == "bedrock-agentcore"
    assert signing_service({}, b"a=b") is None


async def test_a_presigned_url_ends_when_it_says() -> None:
    handshake = presigned("ws://innkeeper.test/ws", expires=60)
    assert await verifier(timedelta(seconds=50)).verify(handshake, b"")
    with pytest.raises(AccessDenied, match="Signature expired"):
        await verifier(timedelta(seconds=70)).verify(handshake, b"")
    week_and_more = presigned("ws://innkeeper.test/ws", expires=604_801)
    with pytest.raises(AccessDenied, match="between 1 and 604800"):
        await verifier().verify(week_and_more, b"")


@pytest.mark.parametrize("old, new", [("/ws", "/ws/shells"), ("X-Amz-Expires=60", "X-Amz-Expires=600")])
async def test_a_presigned_url_cannot_be_changed(old: str, new: str) -> None:
    genuine = presigned("ws://innkeeper.test/ws", expires=60)
    query = genuine.query_string.decode().replace(old, new).encode()
    changed = replace(genuine, raw_path=genuine.raw_path.replace(old, new), query_string=query)
    with pytest.raises(AccessDenied, match="does not match"):
        await verifier().verify(changed, b"")


@pytest.mark.parametrize(
    "parameter", ["X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"]
)
async def test_a_presigned_url_must_be_whole(parameter: str) -> None:
    genuine = presigned("ws://innkeeper.test/ws", expires=60)
    pairs = [
        pair for pair in genuine.query_string.decode().split("&") if not pair.startswith(parameter + "=")
    ]
    with pytest.raises(AccessDenied) as failure:
        await verifier().verify(replace(genuine, query_string="&".join(pairs).encode()), b"")
    assert failure.value.code == "IncompleteSignatureException"
    assert parameter in failure.value.message


async def test_the_host_must_be_signed() -> None:
    genuine = presigned("ws://innkeeper.test/ws", expires=60)
    query = genuine.query_string.replace(b"SignedHeaders=host", b"SignedHeaders=accept")
    with pytest.raises(AccessDenied, match="'Host' must be"):
        await verifier().verify(replace(genuine, query_string=query), b"")


def verifier(shift: timedelta = timedelta()) -> SignatureVerifier:
    return SignatureVerifier(find, ShiftedClock(shift), skew_seconds=300)


def presigned(url: str, expires: int) -> SignedRequest:
    request = AWSRequest("GET", url, headers={"host": urlsplit(url).netloc})
    credentials = Credentials(ROOT_KEY.access_key_id, ROOT_KEY.secret_access_key)
    SigV4QueryAuth(credentials, "bedrock-agentcore", "eu-west-1", expires).add_auth(request)
    parts = urlsplit(request.url)
    return SignedRequest("GET", parts.path, parts.query.encode(), {"host": parts.netloc}, "ws")


def signed(method: str, url: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
    request = AWSRequest(method, url, headers=headers or {}, data=body)
    credentials = Credentials(ROOT_KEY.access_key_id, ROOT_KEY.secret_access_key)
    SigV4Auth(credentials, "bedrock-agentcore", "eu-west-1").add_auth(request)
    return request


def send(request: Any, body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(request.url)
    with closing(HTTPConnection(str(parts.hostname), parts.port, timeout=10)) as connection:
        connection.request(request.method, parts.path, body, dict(request.headers.items()))
        answer = connection.getresponse()
        return answer.status, answer.read()
