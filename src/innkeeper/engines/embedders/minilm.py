"""all-MiniLM-L6-v2 on the processor, as an int8 ONNX graph: 384 dimensions, the first 256 tokens, English,
and Chinese by its glosses.

One thread: a second one gains nothing at this size, and threads beyond the free cores cost much.
Source: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.embedders.embedder import EmbedderError
from innkeeper.engines.embedders.gloss import glossed, pieces
from innkeeper.engines.embedders.minilm_install import installed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DIMENSIONS = 384
_TOKENS_MOST = 256
_STEP = 0.12
_STEP_OF_GLOSSES = 0.1
_BEYOND_LATIN = "\u0250"


class MiniLm:
    """One of `folders` holds `model.onnx` and `tokenizer.json` (`install` puts them there). They are loaded,
    which takes a quarter of a second and 100 MiB, when first asked."""

    model = "all-MiniLM-L6-v2, Chinese glossed"

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._lock = asyncio.Lock()
        self._loaded: _Loaded | None = None

    async def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        async with self._lock:
            return await asyncio.to_thread(self._embed, texts)

    def reads(self, text: str) -> bool:
        letters = known = 0
        for word, gloss in pieces(text):
            count = sum(map(str.isalpha, word))
            letters += count
            known += count if gloss is not None and max(gloss, default="") < _BEYOND_LATIN else 0
        return 0 < letters <= 2 * known

    def step(self, query: str) -> float:
        return _STEP if glossed(query) == query else _STEP_OF_GLOSSES

    async def close(self) -> None:
        async with self._lock:
            self._loaded = None

    def _embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        if self._loaded is None:
            folder = next(filter(installed, self._folders), None)
            if folder is None:
                raise EmbedderError("the MiniLM model is not installed: run `innkeeper memory install`")
            self._loaded = _Loaded(folder)
        return self._loaded.embed(texts)


class _Loaded:
    def __init__(self, folder: Path) -> None:
        # Heavy, and not needed by who embeds elsewhere.
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: InferenceSession = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_TOKENS_MOST)
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One after the other: in a batch they would share the scale of their int8 numbers, so that a text's
        vector would depend on who stands beside it; and on one thread a batch is no faster."""
        return [self._vector(glossed(text)) for text in texts]

    def _vector(self, text: str) -> NDArray[np.float32]:
        encoding = self._tokenizer.encode(text)
        ids = np.array([encoding.ids], np.int64)
        mask = np.array([encoding.attention_mask], np.int64)
        vector: NDArray[np.float32] = self._session.run(["vectors"], {"ids": ids, "mask": mask})[0][0]
        return vector
