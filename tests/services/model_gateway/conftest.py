"""A gateway whose models are scripted."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Call
from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.clock import SystemClock
from innkeeper.model_provider import ModelProvider
from innkeeper.services.model_gateway.service import ModelGateway
from innkeeper.wiring.engines import open_model
from tests.engines.models.scripted.openai_server import ScriptedOpenAi
from tests.engines.models.scripted.script import Step

ACCOUNT = "123456789012"
CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"

OpenGateway = Callable[..., AbstractAsyncContextManager[tuple[ModelGateway, ScriptedOpenAi]]]


def caller(account: str = ACCOUNT, agent_session: str = "") -> Caller:
    """The account's root, or with `AGENT@SESSION` the role session of an agent."""
    if not agent_session:
        return Caller(account, f"arn:aws:iam::{account}:root", "us-west-2")
    principal = f"arn:aws:sts::{account}:assumed-role/agents/{agent_session}"
    return Caller(account, principal, "us-west-2", CallerKind.ROLE)


def call(by: Caller | None = None, headers: Mapping[str, str] | None = None) -> Call:
    return Call(by or caller(), "request-1", headers or {})


def agent_of(by: Caller) -> tuple[str, str] | None:
    agent, at, session = by.principal.rpartition("/")[2].partition("@")
    return (agent, session) if at else None


@pytest.fixture
def opened(database: Database) -> OpenGateway:
    """`async with opened(*script) as (gateway, server)`: every model id is answered from the script."""

    @asynccontextmanager
    async def open_gateway(
        *script: Step, timeout_seconds: float = 10.0, model_ids: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[ModelGateway, ScriptedOpenAi]]:
        async with ScriptedOpenAi(*script) as server:
            local = ModelProvider(
                kind="openai", base_url=server.url, api_key="secret-key", timeout_seconds=timeout_seconds
            )
            routes = {"*": "local/qwen3"} if model_ids is None else model_ids
            gateway = ModelGateway(database, {"local": local}, routes, open_model, SystemClock(), agent_of)
            try:
                yield gateway, server
            finally:
                await gateway.close()

    return open_gateway
