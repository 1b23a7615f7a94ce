"""A panel: several judges of the same texts, of whom each can find one suspicious."""

import asyncio
from collections.abc import Sequence

from innkeeper.engines.vetting.vetting import Judgement, Statement, Vetting


class Panel:
    def __init__(self, *judges: Vetting) -> None:
        self._judges = judges

    async def judge(self, statements: Sequence[Statement]) -> Sequence[Judgement]:
        found = await asyncio.gather(*(one.judge(statements) for one in self._judges))
        return list(map(_weightiest, zip(*found, strict=True)))

    async def close(self) -> None:
        for one in self._judges:
            await one.close()


def _weightiest(judgements: Sequence[Judgement]) -> Judgement:
    ranked = sorted(judgements, key=lambda one: -one.score)
    signs = dict.fromkeys(sign for one in ranked for sign in one.signs)
    return Judgement(ranked[0].score, tuple(signs))
