"""Any server of OpenAI's embeddings: OpenAI, vLLM, Ollama, llama.cpp, LM Studio, ...

Source: https://platform.openai.com/docs/api-reference/embeddings
"""

from collections.abc import Sequence

import numpy as np
import openai
from numpy.typing import NDArray

from innkeeper.engines.embedders.embedder import EmbedderError

_OWN_URL = "https://api.openai.com/v1"
_BATCH = 64
# Servers refuse what is longer than their model reads, mostly 8,192 tokens; of Chinese that is as many
# characters.
_CHARACTERS_MOST = 6_000
_RETRIES = 2
_STEP = 0.12


class OpenAiEmbedder:
    def __init__(self, model: str, base_url: str, api_key: str, timeout_seconds: float) -> None:
        """`base_url` ends in the API's version (`http://127.0.0.1:11434/v1`); empty for OpenAI's own."""
        self.model = model
        self._client = openai.AsyncOpenAI(
            base_url=base_url or _OWN_URL,
            api_key=api_key or "none",
            timeout=timeout_seconds,
            max_retries=_RETRIES,
        )

    async def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        pieces = [await self._embed(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
        if len({piece.shape[1] for piece in pieces}) > 1:
            raise EmbedderError(f"{self.model} answered with vectors of different lengths")
        return [row for piece in pieces for row in piece]

    def reads(self, text: str) -> bool:
        return True

    def step(self, query: str) -> float:
        return _STEP

    async def close(self) -> None:
        await self._client.close()

    async def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # An empty text is refused, and means nothing.
        given = [text[:_CHARACTERS_MOST].strip() or "." for text in texts]
        try:
            answer = await self._client.embeddings.create(
                model=self.model, input=given, encoding_format="float"
            )
            rows = [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]
            vectors = np.array(rows, np.float64)
        except openai.OpenAIError as error:
            raise EmbedderError(f"{self.model} could not be asked: {_reason(error)}") from None
        except (TypeError, ValueError, AttributeError):
            raise EmbedderError(f"{self.model} answered with something else than vectors") from None
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(lengths).all():
            raise EmbedderError(f"{self.model} answered with something else than a vector for each text")
        if not lengths.all():
            raise EmbedderError(f"{self.model} answered with a vector of length 0")
        normal: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
        return normal


def _reason(error: openai.OpenAIError) -> str:
    """Without what the server said: it may quote the key or the texts."""
    if isinstance(error, openai.APIStatusError):
        return f"status {error.status_code}"
    return type(error).__name__
