"""The AWS wire on a real socket, with the services under test behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import boto3
import uvicorn
from botocore.config import Config
from botocore.model import OperationModel

from innkeeper.aws.planes import Plane, RawPlane
from innkeeper.aws.sigv4 import SignatureVerifier
from innkeeper.aws.wire import Wire
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.clock import SystemClock
from innkeeper.services.account.service import Accounts


@asynccontextmanager
async def serving(accounts: Accounts, planes: Sequence[Plane | RawPlane]) -> AsyncIterator[str]:
    """The server's URL. Only the operations' own authorization is asked."""

    async def allow(call: Call, operation: OperationModel, parameters: Document) -> None:
        return None

    verifier = SignatureVerifier(accounts.credential, SystemClock(), 300)
    wire = Wire(planes, verifier, allow, {}, 100_000_000)
    # A client must be the one that closes a connection, however long it has been busy elsewhere.
    config = uvicorn.Config(wire, log_level="error", lifespan="off", ws="none", timeout_keep_alive=600)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def client(service: str, url: str, keys: tuple[str, ...], **config: Any) -> Any:
    """`keys` are the access key's id and secret, and the session token if there is one."""
    access_key_id, secret, *token = keys
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-west-2",
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        aws_session_token=token[0] if token else None,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )
