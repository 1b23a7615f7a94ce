"""A client that costs next to nothing: signed beforehand, sent over one connection that stays open."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.running import RunningServer

_TIMEOUT_SECONDS = 60.0
_CHUNK_BYTES = 1 << 18
_JSON = "application/json"
_SESSION = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"


@dataclass(frozen=True, slots=True)
class Request:
    """A POST, ready to be sent."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One keep-alive connection to a server or an agent."""

    def __init__(self, host: str, port: int) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)

    @classmethod
    def to(cls, url: str) -> "Connection":
        address = urlsplit(url)
        return cls(address.hostname or "", address.port or 80)

    def seconds(self, request: Request) -> float:
        """How long the request takes until the last byte of its answer is here. The answer must be a 200."""
        began = time.perf_counter()
        self._http.request("POST", request.path, request.body, dict(request.headers))
        answer = self._http.getresponse()
        first = answer.read(_CHUNK_BYTES)
        while answer.read(_CHUNK_BYTES):
            pass
        seconds = time.perf_counter() - began
        if answer.status != 200:
            raise RuntimeError(f"{request.path} answered {answer.status}: {first.decode(errors='replace')}")
        return seconds

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()


def direct(order: Mapping[str, Any]) -> Request:
    """What an agent is asked on its own port."""
    return Request("/invocations", {"Content-Type": _JSON}, json.dumps(order).encode())


def through(server: RunningServer, arn: str, session: str, order: Mapping[str, Any]) -> Request:
    """The same as a signed `InvokeAgentRuntime`."""
    path = f"/runtimes/{quote(arn, safe='')}/invocations"
    body = json.dumps(order).encode()
    headers = {"Content-Type": _JSON, _SESSION: session}
    signed = AWSRequest("POST", server.url + path, headers=headers, data=body)
    SigV4Auth(Credentials(*server.keys), "bedrock-agentcore", "us-west-2").add_auth(signed)
    return Request(path, dict(signed.headers.items()), body)
