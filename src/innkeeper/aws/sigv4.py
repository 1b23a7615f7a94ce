"""Signature version 4: who signed a request, and that nobody changed it since.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The signature is
recomputed with botocore's own signer over exactly the headers that the client says it signed.
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from innkeeper.aws.request import SignedRequest
from innkeeper.kernel.caller import Caller, Credential
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import AccessDenied

ALGORITHM = "AWS4-HMAC-SHA256"

_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_MAX_EXPIRES_SECONDS = 604_800
_HASH_IN_THREAD_BYTES = 1_000_000
# What may be signed instead of the body's hash: by S3 clients, and where there is no body. The signatures of
# single chunks are not checked: such a body is as trusted as one that is not signed at all.
_UNSIGNED = (
    "UNSIGNED-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
)
_SCOPE = re.compile(r"([A-Za-z0-9_-]{1,128})/(\d{8})/([a-z0-9-]{1,32})/([a-z0-9-]{1,64})/aws4_request")
_HEADER_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


@dataclass(frozen=True, slots=True)
class SignedCaller:
    """`service` is the credential scope's, such as `bedrock-agentcore` or `s3`."""

    caller: Caller
    service: str


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says about its own signature, in its headers or (presigned) in its query."""

    access_key_id: str
    day: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    timestamp: str
    token: str
    expires_seconds: int | None  # of a presigned URL

    def signed_at(self) -> datetime:
        try:
            moment = datetime.strptime(self.timestamp, _TIMESTAMP).replace(tzinfo=UTC)
        except ValueError:
            raise _incomplete("X-Amz-Date must be a date such as 20260131T120000Z") from None
        if self.timestamp[:8] != self.day:
            raise _invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date")
        return moment


def signing_service(headers: Mapping[str, str], query_string: bytes) -> str | None:
    """The service in the credential scope, nothing verified; None where nothing is signed with SigV4."""
    try:
        return read_signature(headers, query_string).service
    except AccessDenied:
        return None


def is_signed(headers: Mapping[str, str], query_string: bytes) -> bool:
    """Whether the request claims a signature, well-formed or not."""
    return headers.get("authorization", "").startswith("AWS4-") or b"X-Amz-Algorithm=" in query_string


def read_signature(headers: Mapping[str, str], query_string: bytes) -> Signature:
    """Raises AccessDenied with the code that AWS gives for what is missing."""
    authorization = headers.get("authorization", "")
    if authorization.startswith("AWS4-"):
        return _from_headers(authorization, headers)
    if b"X-Amz-Algorithm=" in query_string:
        return _from_query(dict(_pairs(query_string)))
    raise AccessDenied("Missing Authentication Token", "MissingAuthenticationTokenException")


class SignatureVerifier:
    """Verifies requests, WebSocket handshakes included (their body is empty).

    `find` gives the credential of an access key id at the address that a request came from; `skew_seconds` is
    how far a date may be off.
    """

    def __init__(
        self, find: Callable[[str, str], Awaitable[Credential | None]], clock: Clock, skew_seconds: int
    ) -> None:
        self._find = find
        self._clock = clock
        self._skew = timedelta(seconds=skew_seconds)

    async def verify(self, request: SignedRequest, body: bytes) -> SignedCaller:
        """Raises AccessDenied with the code that AWS gives for what is wrong."""
        signature = read_signature(request.headers, request.query_string)
        self._check_time(signature)
        payload_hash = await _payload_hash(request.headers, signature, body)
        credential = await self._find(signature.access_key_id, request.source)
        if credential is None or not _same(credential.session_token, signature.token):
            raise AccessDenied(
                "The security token included in the request is invalid.", "UnrecognizedClientException"
            )
        if not _matches(request, signature, credential, payload_hash):
            raise _invalid(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method."
            )
        if credential.expires_at is not None and credential.expires_at <= self._clock.now():
            raise AccessDenied(
                "The security token included in the request is expired", "ExpiredTokenException"
            )
        caller = replace(credential.caller, region=signature.region, access_key_id=credential.access_key_id)
        return SignedCaller(caller, signature.service)

    def _check_time(self, signature: Signature) -> None:
        signed_at, now = signature.signed_at(), self._clock.now()
        lifetime = self._skew
        if signature.expires_seconds is not None:
            lifetime = timedelta(seconds=signature.expires_seconds)
        age = now - signed_at
        if age > lifetime:
            end = (signed_at + lifetime).strftime(_TIMESTAMP)
            raise _invalid(f"Signature expired: {end} is now earlier than {now.strftime(_TIMESTAMP)}")
        if -age > self._skew:
            raise _invalid(f"Signature not yet current: {signature.timestamp} is still later than now")


def _from_headers(authorization: str, headers: Mapping[str, str]) -> Signature:
    if authorization.split(" ", 1)[0] != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm'; it must be {ALGORITHM}")
    parts = dict(_HEADER_PART.findall(authorization))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if name not in parts:
            raise _incomplete(f"Authorization header requires '{name}' parameter")
    date, token = headers.get("x-amz-date", ""), headers.get("x-amz-security-token", "")
    return _signature(parts["Credential"], parts["SignedHeaders"], parts["Signature"], date, token, None)


def _from_query(query: Mapping[str, str]) -> Signature:
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise _incomplete(f"X-Amz-Algorithm must be {ALGORITHM}")
    names = ("Credential", "SignedHeaders", "Signature", "Date", "Expires")
    for name in names:
        if f"X-Amz-{name}" not in query:
            raise _incomplete(f"AWS query-string parameters must include 'X-Amz-{name}'")
    credential, signed_headers, value, date, expires = (query[f"X-Amz-{name}"] for name in names)
    if not re.fullmatch("[0-9]{1,6}", expires) or not 1 <= int(expires) <= _MAX_EXPIRES_SECONDS:
        raise _incomplete(f"X-Amz-Expires must be between 1 and {_MAX_EXPIRES_SECONDS} seconds")
    token = query.get("X-Amz-Security-Token", "")
    return _signature(credential, signed_headers, value, date, token, int(expires))


def _signature(
    credential: str, signed_headers: str, value: str, date: str, token: str, expires_seconds: int | None
) -> Signature:
    scope = _SCOPE.fullmatch(credential)
    if scope is None:
        raise _incomplete("Credential must be ACCESS_KEY_ID/YYYYMMDD/REGION/SERVICE/aws4_request")
    names = tuple(signed_headers.lower().split(";"))
    if "host" not in names:
        raise _incomplete("'Host' must be a 'SignedHeader' in the AWS Authorization header")
    access_key_id, day, region, service = scope.groups()
    return Signature(access_key_id, day, region, service, names, value, date, token, expires_seconds)


async def _payload_hash(headers: Mapping[str, str], signature: Signature, body: bytes) -> str:
    declared = headers.get("x-amz-content-sha256")
    is_s3 = signature.service == "s3"
    if declared is None and is_s3 and signature.expires_seconds is not None:
        return "UNSIGNED-PAYLOAD"
    if declared in _UNSIGNED and "x-amz-content-sha256" in signature.signed_headers and (is_s3 or not body):
        return declared
    if len(body) > _HASH_IN_THREAD_BYTES:
        digest = await asyncio.to_thread(lambda: hashlib.sha256(body).hexdigest())
    else:
        digest = hashlib.sha256(body).hexdigest()
    if declared is not None and not _same(declared, digest):
        raise _invalid("x-amz-content-sha256 must be the SHA-256 hash of the request body, in hexadecimal")
    return digest


def _matches(request: SignedRequest, signature: Signature, credential: Credential, payload_hash: str) -> bool:
    """Signers of WebSocket URLs leave the port out of the host, though their clients send it."""
    host = request.headers.get("host", "")
    hosts = dict.fromkeys((host, re.sub(r":\d+$", "", host)))
    return any(
        _same(_sign(request, signature, credential, payload_hash, name), signature.value) for name in hosts
    )


def _sign(
    request: SignedRequest, signature: Signature, credential: Credential, payload_hash: str, host: str
) -> str:
    headers = {name: request.headers.get(name, "") for name in signature.signed_headers} | {"host": host}
    pairs = [(name, value) for name, value in _pairs(request.query_string) if name != "X-Amz-Signature"]
    signed = AWSRequest(
        method=request.method, url=f"http://host{request.raw_path}", headers=headers, params=pairs
    )
    signed.context["timestamp"] = signature.timestamp
    signer: Any = _signer(signature.service)(
        Credentials(credential.access_key_id, credential.secret_access_key),
        signature.service,
        signature.region,
    )
    signer.headers_to_sign = lambda signed: signed.headers  # all of them, also those botocore never signs
    signer.payload = lambda signed: payload_hash
    canonical = signer.canonical_request(signed)
    return str(signer.signature(signer.string_to_sign(signed, canonical), signed))


def _signer(service: str) -> Any:
    """S3 takes the path as it was sent; every other service encodes it once more."""
    return S3SigV4Auth if service == "s3" else SigV4Auth


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    parts = (pair.partition("=") for pair in query_string.decode("latin-1").split("&") if pair)
    return [(unquote(name), unquote(value)) for name, _, value in parts]


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _invalid(message: str) -> AccessDenied:
    return AccessDenied(message, "InvalidSignatureException")


def _incomplete(message: str) -> AccessDenied:
    return AccessDenied(message, "IncompleteSignatureException")
