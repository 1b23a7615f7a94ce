"""What an operator reads about models."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from innkeeper.services.model_gateway.routes import routes
from tests.engines.models.scripted.script import Says
from tests.engines.models.scripted.serving import serving
from tests.services.model_gateway.conftest import CLAUDE, OpenGateway, call, caller
from tests.services.model_gateway.test_service import PARAMS


class AsRoot:
    """Stands for the server's own authentication."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["caller"] = caller()
        await self.app(scope, receive, send)


@pytest.fixture
async def http(opened: OpenGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with opened(Says("ok")) as (gateway, _):
        for session in ("s1", "s2"):
            agent = caller(agent_session=f"guide-1@{session}")
            await gateway.converse(call(agent), CLAUDE, {"messages": PARAMS["messages"]})
        app = Starlette(routes=routes(gateway), middleware=[Middleware(AsRoot)])
        async with serving(app) as url, aiohttp.ClientSession(url) as session_of_client:
            yield session_of_client


async def test_configured_models_are_listed_without_keys(http: aiohttp.ClientSession) -> None:
    async with http.get("/-/v1/models") as response:
        assert await response.json() == {
            "models": [{"pattern": "*", "provider": "local", "model": "qwen3", "kind": "openai"}]
        }


async def test_usage_is_listed_and_narrowed_down(http: aiohttp.ClientSession) -> None:
    async with http.get("/-/v1/models/usage") as response:
        (usage,) = (await response.json())["usage"]
    assert (usage["agent"], usage["calls"], usage["input_tokens"]) == ("guide-1", 2, 20)
    async with http.get("/-/v1/models/usage?agent=guide-1&session=s2") as response:
        (usage,) = (await response.json())["usage"]
    assert usage["calls"] == 1
    async with http.get("/-/v1/models/usage?agent=nobody") as response:
        assert (await response.json())["usage"] == []
