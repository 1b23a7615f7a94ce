"""The configured providers, each with its driver, which is loaded when first needed."""

import asyncio
import os
from collections.abc import Mapping

from innkeeper.engines.models.model import Model, OpenModel, Provider
from innkeeper.kernel.errors import Unavailable


class Providers:
    def __init__(self, settings: Mapping[str, Provider], open_model: OpenModel) -> None:
        self._settings = settings
        self._open_model = open_model
        self._models: dict[str, Model] = {}
        self._opening = asyncio.Lock()

    async def model(self, name: str) -> Model:
        """Raises Unavailable when the provider's key is missing."""
        if name not in self._models:
            async with self._opening:
                if name not in self._models:
                    provider = self._settings[name]
                    key = api_key(name, provider)
                    self._models[name] = await asyncio.to_thread(self._open_model, provider, key)
        return self._models[name]

    async def close(self) -> None:
        while self._models:
            _, model = self._models.popitem()
            await model.close()


def api_key(name: str, provider: Provider) -> str:
    """Raises Unavailable when it is missing."""
    if provider.api_key or not provider.api_key_variable:
        return provider.api_key
    key = os.environ.get(provider.api_key_variable, "")
    if not key:
        raise Unavailable(
            f"The model provider '{name}' has no key: {provider.api_key_variable} is not set for the server"
        )
    return key
