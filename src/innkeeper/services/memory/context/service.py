"""Contexts: composed of what a memory holds, for one actor, within a budget of tokens."""

import asyncio

from innkeeper.kernel.caller import Caller
from innkeeper.services.memory.context.composing import Candidates, compose
from innkeeper.services.memory.context.gathering import Gathering
from innkeeper.services.memory.context.model import Context, Wanted
from innkeeper.services.memory.context.rendering import as_converse, as_text
from innkeeper.services.memory.context.tokens import Counter
from innkeeper.services.memory.model import Memory


class Contexts:
    def __init__(self, gathering: Gathering, count: Counter) -> None:
        self._gathering = gathering
        self._count = count

    async def compose(self, caller: Caller, memory: Memory, wanted: Wanted) -> Context:
        """Never of more tokens than are wanted. Raises InvalidRequest, NotFound."""
        pieces = await self._gathering.pieces(caller, memory, wanted)
        # Texts may be long, and are counted letter by letter.
        return await asyncio.to_thread(self._composed, pieces, wanted)

    def _composed(self, pieces: Candidates, wanted: Wanted) -> Context:
        sections = compose(pieces, wanted.shares, wanted.tokens, self._count)
        text = as_text(sections)
        return Context(self._count(text), wanted.tokens, sections, text, as_converse(sections))
