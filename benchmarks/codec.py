"""Processor time of the AWS codec for one call, beside botocore's own at the other end of the same call."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from benchmarks.calls import CALLS, Call
from benchmarks.inn import Inn
from benchmarks.measure import Measure
from benchmarks.rounds import alternate
from innkeeper.aws.models import AGENTCORE, service_model
from innkeeper.aws.request import SignedRequest
from innkeeper.aws.restjson import RestJson
from innkeeper.aws.sigv4 import SignatureVerifier
from innkeeper.kernel.caller import Caller, Credential
from innkeeper.kernel.clock import SystemClock

_ROUNDS = 50
_CALLS_A_ROUND = 100
_AIM = "p50 <= 100"
_HOST = "127.0.0.1:8471"
_SKEW_SECONDS = 300
_ROOT = Caller("123456789012", "arn:aws:iam::123456789012:root", "")
_KEY = Credential("AKIAEXAMPLE", "an-example-of-a-secret", _ROOT)


def measure(inn: Inn) -> list[Measure]:
    codec = RestJson(map(service_model, AGENTCORE))
    rounds = inn.rounds(_ROUNDS)
    return [*(_call(codec, call, rounds) for call in CALLS), _signature(CALLS[0], rounds)]


def _call(codec: RestJson, call: Call, rounds: int) -> Measure:
    """Both ends look at the shapes, check the parameters, and write one document and read another."""
    operation = service_model(call.service).operation_model(call.operation)
    serializer, parser, validator = (
        create_serializer("rest-json"),
        create_parser("rest-json"),
        ParamValidator(),
    )
    scope, body = _sent(call)
    answer = codec.answer(operation, call.answer, "request-id")
    received = {"status_code": answer.status, "headers": answer.headers, "body": answer.body}

    def ours() -> None:
        match = codec.match(SignedRequest.of(scope), body)
        assert match is not None
        match.decode(body)
        codec.answer(match.operation, call.answer, "request-id")

    def theirs() -> None:
        validator.validate(call.parameters, operation.input_shape)
        serializer.serialize_to_request(call.parameters, operation)
        parser.parse(received, operation.output_shape)

    samples = alternate(lambda: _microseconds(ours), lambda: _microseconds(theirs), rounds)
    return Measure("codec", call.operation, "us CPU", samples[0], "botocore", samples[1], _AIM)


def _signature(call: Call, rounds: int) -> Measure:
    """Of a request with a short body: verified by us, made by botocore."""
    scope, body = _sent(call)
    verifier = SignatureVerifier(_find, SystemClock(), _SKEW_SECONDS)
    signer = SigV4Auth(
        Credentials(_KEY.access_key_id, _KEY.secret_access_key), "bedrock-agentcore", "us-west-2"
    )

    def sign() -> AWSRequest:
        headers = {"Content-Type": "application/json"}
        request = AWSRequest(scope["method"], f"http://{_HOST}{scope['path']}", headers, body)
        signer.add_auth(request)
        return request

    async def verify_all(request: SignedRequest) -> None:
        for _ in range(_CALLS_A_ROUND):
            await verifier.verify(request, body)

    def verified() -> float:
        """Signed anew each round, as signatures grow old."""
        headers = {name.lower(): value for name, value in sign().headers.items()} | {"host": _HOST}
        request = replace(SignedRequest.of(scope), headers=headers)
        return _microseconds(lambda: runner.run(verify_all(request)), 1)

    with asyncio.Runner() as runner:
        samples = alternate(verified, lambda: _microseconds(sign), rounds)
    return Measure("codec", "signature", "us CPU", samples[0], "botocore", samples[1])


async def _find(access_key_id: str, _source: str) -> Credential | None:
    return _KEY


def _sent(call: Call) -> tuple[dict[str, Any], bytes]:
    """The ASGI scope and the body of what botocore sends."""
    operation = service_model(call.service).operation_model(call.operation)
    http = create_serializer("rest-json").serialize_to_request(call.parameters, operation)
    headers = {"Host": _HOST, "User-Agent": "Boto3", **http["headers"]}
    scope = {
        "method": http["method"],
        "path": http["url_path"],
        "raw_path": http["url_path"].encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    return scope, http["body"]


def _microseconds(work: Callable[[], object], times: int = _CALLS_A_ROUND) -> float:
    """Processor time of one of `_CALLS_A_ROUND` calls, which are made by working so many times."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / _CALLS_A_ROUND * 1e6
