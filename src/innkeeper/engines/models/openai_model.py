"""Any server of OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp, OpenRouter, LM Studio, ..."""

import time
from collections.abc import AsyncGenerator

import openai

from innkeeper.engines.models.model import Converse, Provider
from innkeeper.engines.models.openai_answer import ChatStream, converse_answer
from innkeeper.engines.models.openai_request import chat_request
from innkeeper.engines.models.sdk import (
    MAX_RETRIES,
    keep_prompts_out_of_logs,
    reading_answer,
    sdk_failures,
    sdk_timeout,
)

_OWN_URL = "https://api.openai.com/v1"


class OpenAiModel:
    @classmethod
    def of(cls, provider: Provider, api_key: str) -> "OpenAiModel":
        return cls(provider.base_url, api_key, provider.timeout_seconds)

    def __init__(self, base_url: str, api_key: str, timeout_seconds: float) -> None:
        """`base_url` ends in the API's version (`http://127.0.0.1:11434/v1`); empty for OpenAI's own."""
        keep_prompts_out_of_logs("openai")
        self._api_key = api_key
        # OpenAI's newer models refuse `max_tokens`; other servers know only that.
        self._max_tokens = "max_completion_tokens" if base_url in ("", _OWN_URL) else "max_tokens"
        self._client = openai.AsyncOpenAI(
            base_url=base_url or _OWN_URL,
            api_key=api_key or "none",
            timeout=sdk_timeout(timeout_seconds),
            max_retries=MAX_RETRIES,
        )

    async def converse(self, model: str, request: Converse) -> Converse:
        started = time.monotonic()
        arguments = chat_request(model, request, self._max_tokens)
        with sdk_failures(openai, self._api_key):
            completion = await self._client.chat.completions.create(**arguments)
        with reading_answer():
            return converse_answer(completion, started)

    async def converse_stream(self, model: str, request: Converse) -> AsyncGenerator[Converse, None]:
        answer = ChatStream(time.monotonic())
        arguments = chat_request(model, request, self._max_tokens)
        with sdk_failures(openai, self._api_key):
            stream = await self._client.chat.completions.create(
                **arguments, stream=True, stream_options={"include_usage": True}
            )
        with sdk_failures(openai, self._api_key, streaming=True), reading_answer():
            async with stream:
                async for chunk in stream:
                    for event in answer.events(chunk):
                        yield event
                for event in answer.end():
                    yield event

    async def close(self) -> None:
        await self._client.close()
