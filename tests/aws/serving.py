"""A wire on a real port, and boto3 clients for it."""

import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import uvicorn
from botocore.config import Config
from botocore.model import OperationModel
from starlette.types import ASGIApp

from innkeeper.aws.models import AGENTCORE, service_model
from innkeeper.aws.planes import Plane, RawPlane
from innkeeper.aws.sigv4 import SignatureVerifier
from innkeeper.aws.wire import VerifyBearer, Wire
from innkeeper.kernel.call import Call, Document, Operation
from innkeeper.kernel.caller import Caller, Credential
from innkeeper.kernel.clock import SystemClock

ACCOUNT = "123456789012"
ROOT = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "")
ROOT_KEY = Credential("AKIAROOT", "root-secret", ROOT)
ROLE_KEY = Credential("ASIAROLE", "role-secret", ROOT, session_token="token-of-the-role")
EXPIRED_KEY = Credential(
    "ASIAOLD", "old-secret", ROOT, session_token="old", expires_at=datetime(2020, 1, 1, tzinfo=UTC)
)
KEYS = {key.access_key_id: key for key in (ROOT_KEY, ROLE_KEY, EXPIRED_KEY)}


async def find(access_key_id: str, _source: str) -> Credential | None:
    return KEYS.get(access_key_id)


async def allow(call: Call, operation: OperationModel, parameters: Document) -> None:
    """Everyone may do everything."""


class ShiftedClock(SystemClock):
    """A clock that goes wrong by so much."""

    def __init__(self, shift: timedelta) -> None:
        self._shift = shift

    def now(self) -> datetime:
        return super().now() + self._shift


@dataclass
class Served:
    """What a test wants behind the wire."""

    agentcore: Mapping[str, Operation] = field(default_factory=dict)
    sts: Mapping[str, Operation] = field(default_factory=dict)
    iam: Mapping[str, Operation] = field(default_factory=dict)
    raw: Sequence[RawPlane] = ()
    bearer: Mapping[str, VerifyBearer] = field(default_factory=dict)
    authorize: Callable[[Call, OperationModel, Document], Awaitable[None]] = allow
    clock_shift: timedelta = timedelta()
    body_limit_bytes: int = 1_000_000
    body_timeout_seconds: float = 5.0

    def wire(self) -> Wire:
        planes: list[Plane | RawPlane] = [
            Plane("bedrock-agentcore", "rest-json", tuple(map(service_model, AGENTCORE)), self.agentcore),
            Plane("sts", "query", (service_model("sts"),), self.sts),
            Plane("iam", "query", (service_model("iam"),), self.iam),
            *self.raw,
        ]
        verifier = SignatureVerifier(find, ShiftedClock(self.clock_shift), skew_seconds=300)
        return Wire(
            planes, verifier, self.authorize, self.bearer, self.body_limit_bytes, self.body_timeout_seconds
        )


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The app's URL, while it runs in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def client(service: str, url: str, key: Credential = ROOT_KEY) -> Any:
    return boto3.client(
        service,
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        aws_session_token=key.session_token or None,
        config=Config(
            retries={"total_max_attempts": 1}, read_timeout=20, connect_timeout=5, signature_version="v4"
        ),
    )
