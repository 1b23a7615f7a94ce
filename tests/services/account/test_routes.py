"""The native JSON routes of access keys and accounts, over a real socket."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from innkeeper.kernel.errors import InnkeeperError
from innkeeper.services.account.model import AGENT_ROLE, AccessKey
from innkeeper.services.account.routes import routes
from innkeeper.services.account.service import Accounts

Ask = Callable[..., tuple[int, Any]]


class SignedBy:
    """Stands for the signature check in front: the key's id alone says who calls."""

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        self.app = app
        self.accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        credential = await self.accounts.credential(Request(scope).headers["x-key"])
        assert credential is not None
        scope["state"] = {"caller": credential.caller}
        await self.app(scope, receive, send)


async def refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InnkeeperError)
    return JSONResponse({"message": error.message, "code": error.code}, error.status)


@pytest.fixture
async def ask(accounts: Accounts) -> AsyncIterator[Ask]:
    app = Starlette(routes=routes(accounts), exception_handlers={InnkeeperError: refuse})
    config = uvicorn.Config(SignedBy(app, accounts), log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        port = listening.getsockname()[1]

        def call(key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/-/v1/{path}", data, {"x-key": key}, method=method
            )
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    text = answer.read()
                    return answer.status, json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.loads(error.read())

        try:
            yield call
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def root(accounts: Accounts) -> AccessKey:
    return await accounts.bootstrap()


async def test_a_key_is_made_listed_disabled_and_deleted(ask: Ask, root: AccessKey) -> None:
    def use() -> None:
        me = root.access_key_id
        status, made = ask(me, "POST", "keys", {"description": "laptop"})
        assert status == 201
        assert made["secretAccessKey"]
        _, listed = ask(me, "GET", "keys")
        shown = {key["accessKeyId"]: key for key in listed["keys"]}
        assert set(shown) == {me, made["accessKeyId"]}
        assert shown[made["accessKeyId"]]["description"] == "laptop"
        assert "secretAccessKey" not in shown[made["accessKeyId"]]
        assert ask(me, "PATCH", f"keys/{made['accessKeyId']}", {"active": False}) == (204, None)
        _, listed = ask(me, "GET", "keys")
        active = {key["accessKeyId"]: key["active"] for key in listed["keys"]}
        assert active == {me: True, made["accessKeyId"]: False}
        assert ask(me, "DELETE", f"keys/{made['accessKeyId']}") == (204, None)
        for unknown in (made["accessKeyId"], "nothing", "%00"):
            assert ask(me, "DELETE", f"keys/{unknown}")[0] == 404

    await asyncio.to_thread(use)


async def test_bad_bodies_are_named(ask: Ask, root: AccessKey) -> None:
    def use() -> None:
        for body in (
            b"",
            b"[1]",
            b"{",
            {"description": 5},
            {"description": "x" * 129},
            {"description": "\0"},
        ):
            status, answer = ask(root.access_key_id, "POST", "keys", body)
            assert (status, answer["code"]) == (400, "ValidationException")
        status, answer = ask(root.access_key_id, "PATCH", f"keys/{root.access_key_id}", {"active": "no"})
        assert (status, answer["message"]) == (400, "`active` must be true or false")

    await asyncio.to_thread(use)


async def test_only_the_operator_makes_accounts(ask: Ask, root: AccessKey) -> None:
    def use() -> None:
        status, made = ask(root.access_key_id, "POST", "accounts", {"name": "second"})
        assert status == 201
        assert made["account"] != root.account
        second = made["key"]["accessKeyId"]
        assert ask(second, "GET", "keys")[1]["keys"][0]["accessKeyId"] == second
        assert ask(second, "POST", "accounts", {"name": "third"})[0] == 403
        assert ask(second, "DELETE", f"keys/{root.access_key_id}")[0] == 404

    await asyncio.to_thread(use)


async def test_a_role_manages_no_keys(ask: Ask, accounts: Accounts, root: AccessKey) -> None:
    arn = f"arn:aws:iam::{root.account}:role/{AGENT_ROLE}"
    made = await accounts.role_credentials(arn, "s1", 900)

    def use() -> None:
        for method, path in (("GET", "keys"), ("POST", "keys"), ("POST", "accounts")):
            assert ask(made.access_key_id, method, path, {"description": "", "name": ""})[0] == 403

    await asyncio.to_thread(use)
