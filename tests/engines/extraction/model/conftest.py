"""A model extractor whose model is scripted: it answers over a socket, in its provider's protocol."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from innkeeper.engines.extraction.model.extractor import ModelExtractor
from innkeeper.engines.extraction.model.limits import ModelLimits
from innkeeper.engines.models.anthropic_model import AnthropicModel
from innkeeper.engines.models.model import Converse, Model
from innkeeper.engines.models.openai_model import OpenAiModel
from tests.engines.models.scripted.anthropic_server import ScriptedAnthropic
from tests.engines.models.scripted.openai_server import ScriptedOpenAi
from tests.engines.models.scripted.script import Step
from tests.engines.models.scripted.server import ScriptedServer

Asking = Callable[..., AbstractAsyncContextManager[tuple[ModelExtractor, ScriptedServer]]]

LIMITS = ModelLimits(timeout_seconds=20, patience_seconds=0.02, first_wait_seconds=0.01)


@pytest.fixture
def asking() -> Asking:
    """`async with asking(*script, **limits) as (extractor, server)`."""

    @asynccontextmanager
    async def open_both(
        *script: Step, protocol: str = "openai", **limits: Any
    ) -> AsyncIterator[tuple[ModelExtractor, ScriptedServer]]:
        kind = ScriptedAnthropic if protocol == "anthropic" else ScriptedOpenAi
        async with kind(*script) as server:
            model: Model
            if protocol == "anthropic":
                model = AnthropicModel(server.url, "key", 20)
            else:
                model = OpenAiModel(server.url, "key", 20)

            async def ask(_account: str, name: str, request: Converse) -> Converse:
                return await model.converse(name, request)

            try:
                yield ModelExtractor(ask, "scribe", replace(LIMITS, **limits)), server
            finally:
                await model.close()

    return open_both
