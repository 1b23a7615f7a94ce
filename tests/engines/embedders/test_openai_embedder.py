"""Embeddings from a server that speaks OpenAI's protocol."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from innkeeper.engines.embedders.embedder import EmbedderError
from innkeeper.engines.embedders.openai_embedder import OpenAiEmbedder
from tests.engines.embedders.embedding_server import EmbeddingServer, embedding_server

JSON = {"content-type": "application/json"}


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with embedding_server() as running:
        yield running


@pytest.fixture
async def embedder(server: EmbeddingServer) -> AsyncIterator[OpenAiEmbedder]:
    opened = OpenAiEmbedder("small", server.url, "sk-secret", 5)
    yield opened
    await opened.close()


async def test_a_vector_of_length_one_for_each_text_in_order(
    server: EmbeddingServer, embedder: OpenAiEmbedder
) -> None:
    texts = ["rain", *["tea"] * 70, ""]
    vectors = np.array(await embedder.embed(texts))
    assert vectors.shape == (72, 3)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[[0, 1, 70, 71]], [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]])
    key, first = server.requests[0]
    assert key == "Bearer sk-secret"
    assert (first["model"], len(first["input"]), len(server.requests)) == ("small", 64, 2)
    assert await embedder.embed([]) == []


async def test_texts_are_cut_to_what_servers_take(server: EmbeddingServer, embedder: OpenAiEmbedder) -> None:
    await embedder.embed(["茶" * 100_000])
    assert len(server.requests[0][1]["input"][0]) == 6_000


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (JSONResponse({"error": {"message": "no: sk-secret, rain"}}, 401), "status 401"),
        (JSONResponse({"object": "list", "data": []}), "a vector for each text"),
        (JSONResponse({"data": [{"index": 0, "embedding": ["x"]}]}), "something else than vectors"),
        (JSONResponse({"data": [{"index": 0, "embedding": [0.0, 0.0]}]}), "of length 0"),
        (Response(b'{"data": [{"index": 0, "embedding": [1e999]}]}', 200, JSON), "a vector for each text"),
        (PlainTextResponse("what?"), "something else than vectors"),
    ],
)
async def test_what_is_no_vector_is_an_error_that_quotes_nothing(
    server: EmbeddingServer, embedder: OpenAiEmbedder, answer: Response, reason: str
) -> None:
    server.answer = answer
    with pytest.raises(EmbedderError, match=reason) as caught:
        await embedder.embed(["rain"])
    assert "sk-secret" not in str(caught.value)
    assert "rain" not in str(caught.value)


async def test_nobody_there() -> None:
    embedder = OpenAiEmbedder("small", "http://127.0.0.1:9/v1", "sk-secret", 5)
    with pytest.raises(EmbedderError, match="APIConnectionError"):
        await embedder.embed(["rain"])
    await embedder.close()
