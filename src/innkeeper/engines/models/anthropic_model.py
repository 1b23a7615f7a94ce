"""Anthropic's messages API, at Anthropic or wherever else it is spoken."""

import time
from collections.abc import AsyncGenerator

import anthropic

from innkeeper.engines.models.anthropic_answer import MessageStream, converse_answer
from innkeeper.engines.models.anthropic_request import messages_request
from innkeeper.engines.models.model import Converse, Provider
from innkeeper.engines.models.sdk import (
    MAX_RETRIES,
    keep_prompts_out_of_logs,
    reading_answer,
    sdk_failures,
    sdk_timeout,
)

_OWN_URL = "https://api.anthropic.com"


class AnthropicModel:
    @classmethod
    def of(cls, provider: Provider, api_key: str) -> "AnthropicModel":
        return cls(provider.base_url, api_key, provider.timeout_seconds)

    def __init__(self, base_url: str, api_key: str, timeout_seconds: float) -> None:
        """`base_url` is without the API's version; empty for Anthropic's own."""
        keep_prompts_out_of_logs("anthropic")
        self._api_key = api_key
        # Given with each call, or the SDK refuses long answers that do not stream.
        self._timeout = sdk_timeout(timeout_seconds)
        self._client = anthropic.AsyncAnthropic(
            base_url=base_url or _OWN_URL, api_key=api_key or "none", max_retries=MAX_RETRIES
        )

    async def converse(self, model: str, request: Converse) -> Converse:
        started = time.monotonic()
        arguments = messages_request(model, request)
        with sdk_failures(anthropic, self._api_key):
            message = await self._client.messages.create(**arguments, timeout=self._timeout)
        with reading_answer():
            return converse_answer(message, started)

    async def converse_stream(self, model: str, request: Converse) -> AsyncGenerator[Converse, None]:
        answer = MessageStream(time.monotonic())
        arguments = messages_request(model, request)
        with sdk_failures(anthropic, self._api_key):
            stream = await self._client.messages.create(**arguments, timeout=self._timeout, stream=True)
        with sdk_failures(anthropic, self._api_key, streaming=True), reading_answer():
            async with stream:
                async for message_event in stream:
                    for event in answer.events(message_event):
                        yield event
                for event in answer.end():
                    yield event

    async def close(self) -> None:
        await self._client.close()
