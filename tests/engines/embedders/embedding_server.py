"""A server of OpenAI's embeddings on a loopback port, with a meaning that tests can foresee."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.engines.models.scripted.serving import serving

# What stands under one of these names in a text has the direction of the other words in its row.
MEANINGS = (("tea", "beverage"), ("rain", "weather"))


class EmbeddingServer:
    """`small` gives vectors of 3 numbers, all other models of 5. `answer` replaces every answer."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answer: Response | None = None

    async def embed(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append((request.headers["authorization"], body))
        if self.answer is not None:
            return self.answer
        width = 3 if body["model"] == "small" else 5
        rows = [{"index": row, "embedding": _vector(text, width)} for row, text in enumerate(body["input"])]
        return JSONResponse({"object": "list", "model": body["model"], "data": rows[::-1]})


def _vector(text: str, width: int) -> list[float]:
    vector = [0.0] * width
    for row, words in enumerate(MEANINGS):
        vector[row] = 2.0 * any(word in text for word in words)
    vector[-1] = 0.0 if any(vector) else 2.0
    return vector


@asynccontextmanager
async def embedding_server() -> AsyncIterator[EmbeddingServer]:
    server = EmbeddingServer()
    async with serving(Starlette(routes=[Route("/v1/embeddings", server.embed, methods=["POST"])])) as url:
        server.url = f"{url}/v1"
        yield server
