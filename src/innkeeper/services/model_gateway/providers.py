"""The configured providers, each with its driver, which is loaded when first needed."""

import asyncio
import os
from collections.abc import Mapping

from innkeeper.engines.models.model import Model
from innkeeper.kernel.errors import Unavailable
from innkeeper.settings import ModelProvider


class Providers:
    def __init__(self, settings: Mapping[str, ModelProvider]) -> None:
        self._settings = settings
        self._models: dict[str, Model] = {}
        self._opening = asyncio.Lock()

    async def model(self, name: str) -> Model:
        """Raises Unavailable when the provider's key is missing."""
        if name not in self._models:
            async with self._opening:
                if name not in self._models:
                    # Loading an SDK takes up to a second.
                    self._models[name] = await asyncio.to_thread(_open, name, self._settings[name])
        return self._models[name]

    async def close(self) -> None:
        while self._models:
            _, model = self._models.popitem()
            await model.close()


def _open(name: str, provider: ModelProvider) -> Model:
    if provider.kind == "bedrock":
        from innkeeper.engines.models.bedrock_model import BedrockModel

        return BedrockModel(
            provider.region, provider.profile, provider.timeout_seconds, base_url=provider.base_url
        )
    key = _api_key(name, provider)
    if provider.kind == "anthropic":
        from innkeeper.engines.models.anthropic_model import AnthropicModel

        return AnthropicModel(provider.base_url, key, provider.timeout_seconds)
    from innkeeper.engines.models.openai_model import OpenAiModel

    return OpenAiModel(provider.base_url, key, provider.timeout_seconds)


def _api_key(name: str, provider: ModelProvider) -> str:
    if provider.api_key or not provider.api_key_variable:
        return provider.api_key
    key = os.environ.get(provider.api_key_variable, "")
    if not key:
        raise Unavailable(
            f"The model provider '{name}' has no key: {provider.api_key_variable} is not set for the server"
        )
    return key
