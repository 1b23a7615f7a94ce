"""The Extractor without a model of its own: it asks one where a strategy names it."""

from collections.abc import Callable, Sequence

from innkeeper.engines.extraction.extractor import (
    Extractor,
    Finding,
    Guidance,
    Kind,
    Known,
    Reading,
    Verdict,
)


class Choice:
    """`model` for the steps whose guidance names a model that `answers`, `usual` for all others."""

    def __init__(self, model: Extractor, usual: Extractor, answers: Callable[[str], bool]) -> None:
        self._model = model
        self._usual = usual
        self._answers = answers

    async def extract(self, reading: Reading) -> Sequence[Finding]:
        return await self._for(reading.guidance).extract(reading)

    async def consolidate(
        self, kind: Kind, finding: Finding, known: Sequence[Known], guidance: Guidance
    ) -> Verdict:
        return await self._for(guidance).consolidate(kind, finding, known, guidance)

    def _for(self, guidance: Guidance) -> Extractor:
        return self._model if guidance.model and self._answers(guidance.model) else self._usual
