"""MiniLM: installed from its package, loaded, and near where texts mean the like."""

from pathlib import Path

import numpy as np
import pytest

from innkeeper.engines.embedders.embedder import EmbedderError
from innkeeper.engines.embedders.minilm import DIMENSIONS, MiniLm
from innkeeper.engines.embedders.minilm_install import default_folder


async def test_texts_that_mean_the_like_are_near() -> None:
    embedder = MiniLm(default_folder())
    texts = ["How old are you?", "What is your age?", "The train to Oslo leaves at nine. " * 60, ""]
    vectors = np.array(await embedder.embed(texts))
    assert vectors.shape == (4, DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near = vectors @ vectors.T
    assert near[0, 1] > 0.6 > 0.3 > near[0, 2]
    assert await embedder.embed([]) == []
    assert np.array_equal((await embedder.embed(texts[1:2]))[0], vectors[1])
    assert embedder.reads("Où est le café de M. 李?")
    assert embedder.reads("李先生喜欢喝 tea 吗?")
    assert not embedder.reads("昨日は寒かったですね")
    assert not embedder.reads("\N{THUMBS UP SIGN} ?! 42")  # which would mean the like of all that is short
    cat, wedding = await embedder.embed(["我養了一隻橘貓", "婚礼定在十月"])
    (pet,) = await embedder.embed(["What pet does she have?"])
    assert pet @ cat > 2 * abs(pet @ wedding)
    await embedder.close()


async def test_without_the_model_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match="innkeeper memory install"):
        await MiniLm(tmp_path).embed(["hello"])
