"""Each driver with a scripted server that speaks its provider's protocol."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from innkeeper.engines.models.anthropic_model import AnthropicModel
from innkeeper.engines.models.bedrock_model import BedrockModel
from innkeeper.engines.models.model import Model
from innkeeper.engines.models.openai_model import OpenAiModel
from tests.engines.models.scripted.anthropic_server import ScriptedAnthropic
from tests.engines.models.scripted.bedrock_server import ScriptedBedrock
from tests.engines.models.scripted.openai_server import ScriptedOpenAi
from tests.engines.models.scripted.script import Step
from tests.engines.models.scripted.server import ScriptedServer

Speaking = Callable[..., AbstractAsyncContextManager[tuple[Model, ScriptedServer]]]

SECRET = "sk-very-secret-1234"


@pytest.fixture(autouse=True)
def aws_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An operator's profile; and the environment of a shell in which agents are tried against Innkeeper."""
    credentials = tmp_path / "credentials"
    credentials.write_text(
        f"[operator]\naws_access_key_id = AKIAOPERATOR\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINNKEEPER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-for-bedrock")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def driver(kind: str, url: str, timeout_seconds: float = 10.0) -> Model:
    if kind == "openai":
        return OpenAiModel(url, SECRET, timeout_seconds)
    if kind == "anthropic":
        return AnthropicModel(url, SECRET, timeout_seconds)
    return BedrockModel("us-west-2", "operator", timeout_seconds, base_url=url)


_SERVERS: dict[str, type[ScriptedServer]] = {
    "openai": ScriptedOpenAi,
    "anthropic": ScriptedAnthropic,
    "bedrock": ScriptedBedrock,
}


@pytest.fixture(params=["openai", "anthropic", "bedrock"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def speaking(kind: str) -> Speaking:
    """`async with speaking(*script) as (model, server)`, for each driver in turn."""

    @asynccontextmanager
    async def open_both(
        *script: Step, timeout_seconds: float = 10.0
    ) -> AsyncIterator[tuple[Model, ScriptedServer]]:
        async with _SERVERS[kind](*script) as server:
            model = driver(kind, server.url, timeout_seconds)
            try:
                yield model, server
            finally:
                await model.close()

    return open_both
