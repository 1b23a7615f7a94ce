"""Vetting by a classifier of the operator's own, behind HTTP: any server of OpenAI's moderations.

Asked is `POST BASE_URL/moderations` with `{"model": …, "input": [texts]}`; the answer has a result for each
text, in order: `{"results": [{"flagged": true, "categories": {"prompt_injection": true, …}}, …]}`. Where
`flagged` is missing, a category that is true stands for it. Scores are not looked at: the server has its own
thresholds.
Source: https://platform.openai.com/docs/api-reference/moderations
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import openai

from innkeeper.engines.vetting.vetting import Judgement, Statement

_BATCH, _ASKING = 32, 4
# A classifier reads no more of a text at once; what lies on a cut is read with both sides.
_PIECE, _OVERLAP = 8_000, 400
_REMEMBERED = 10_000
_SIGNS, _SIGN = 10, 64
UNANSWERED = "guardrail did not answer"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuardrailLimits:
    """One answer is waited for `timeout_seconds`, and asked for `attempts` times. Who did not answer is left
    alone for `rest_seconds`. Until then each text is suspicious, unless it `fails_open`: then none is."""

    timeout_seconds: float = 5.0
    attempts: int = 3
    rest_seconds: float = 10.0
    fails_open: bool = False


class GuardrailVetting:
    """What was judged once is remembered, for the same turns are found again and again."""

    def __init__(
        self, model: str, base_url: str, api_key: str, categories: Sequence[str], limits: GuardrailLimits
    ) -> None:
        """`categories` are those that count; without any, what the server flags does. `base_url` ends in the
        API's version; empty for OpenAI's own."""
        self._model = model
        self._categories = frozenset(categories)
        self._limits = limits
        self._client = openai.AsyncOpenAI(
            base_url=base_url or None,
            api_key=api_key or "none",
            timeout=limits.timeout_seconds,
            max_retries=limits.attempts - 1,
        )
        self._asking = asyncio.Semaphore(_ASKING)
        self._known: OrderedDict[bytes, Judgement] = OrderedDict()
        self._rests_until = 0.0

    async def judge(self, statements: Sequence[Statement]) -> Sequence[Judgement]:
        """Never raises: who asked for safety before all else set `fails_open` to false."""
        pieces = [list(_pieces(one.text)) for one in statements]
        distinct = list(dict.fromkeys(piece for own in pieces for piece in own))
        found = {text: known for text in distinct if (known := self._remembered(text)) is not None}
        asked = [text for text in distinct if text not in found]
        batches = [asked[start : start + _BATCH] for start in range(0, len(asked), _BATCH)]
        for batch, judged in zip(batches, await asyncio.gather(*map(self._judged, batches)), strict=True):
            found |= zip(batch, judged, strict=True)
        return [max((found[piece] for piece in own), key=lambda one: one.score) for own in pieces]

    async def close(self) -> None:
        await self._client.close()

    async def _judged(self, texts: Sequence[str]) -> Sequence[Judgement]:
        async with self._asking:
            if time.monotonic() < self._rests_until:
                return self._unanswered(texts)
            try:
                async with asyncio.timeout(self._limits.timeout_seconds * self._limits.attempts):
                    results = await self._results(texts)
                judgements = [self._judgement(one) for one in results]
            except (
                openai.OpenAIError,
                TimeoutError,
                ValueError,
                TypeError,
                LookupError,
                AttributeError,
            ) as error:
                _log.warning("the guardrail %s could not be asked: %s", self._model, _reason(error))
                self._rests_until = time.monotonic() + self._limits.rest_seconds
                return self._unanswered(texts)
        for text, one in zip(texts, judgements, strict=True):
            self._known[_key(text)] = one
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return judgements

    async def _results(self, texts: Sequence[str]) -> list[Any]:
        # An empty text is refused, and means nothing.
        given = [text.strip() or "." for text in texts]
        answer = await self._client.moderations.with_raw_response.create(input=given, model=self._model)
        results: list[Any] = answer.http_response.json()["results"]
        if len(results) != len(texts):
            raise ValueError("not a result for each text")
        return results

    def _judgement(self, result: Any) -> Judgement:
        names = [name for name, is_so in result["categories"].items() if is_so is True]
        flagged = result.get("flagged", bool(names))
        if not isinstance(flagged, bool):
            raise TypeError("flagged is neither true nor false")
        if self._categories:
            names = [name for name in names if name in self._categories]
            flagged = bool(names)
        if not flagged:
            return Judgement(0.0)
        return Judgement(
            1.0, tuple(f"guardrail: {_shown(name)}" for name in names[:_SIGNS]) or ("guardrail",)
        )

    def _remembered(self, text: str) -> Judgement | None:
        key = _key(text)
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def _unanswered(self, texts: Sequence[str]) -> Sequence[Judgement]:
        one = Judgement(0.0) if self._limits.fails_open else Judgement(1.0, (UNANSWERED,))
        return [one] * len(texts)


def _pieces(text: str) -> Iterator[str]:
    yield text[:_PIECE]
    for start in range(_PIECE - _OVERLAP, len(text) - _OVERLAP, _PIECE - _OVERLAP):
        yield text[start : start + _PIECE]


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _shown(name: str) -> str:
    return "".join(one for one in name[:_SIGN] if one.isprintable())


def _reason(error: Exception) -> str:
    """Without what the server said: it may quote the key or the texts."""
    if isinstance(error, openai.APIStatusError):
        return f"status {error.status_code}"
    return type(error).__name__
