"""Contexts: composed of what a memory holds, for one actor, within a budget of tokens."""

import asyncio

from innkeeper.engines.extraction.extractor import ExtractionError
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import Unavailable
from innkeeper.services.memory.context.composing import Candidates, compose
from innkeeper.services.memory.context.conversation import Conversation
from innkeeper.services.memory.context.gathering import Gathering
from innkeeper.services.memory.context.model import Context, Wanted
from innkeeper.services.memory.context.rendering import as_converse, as_text
from innkeeper.services.memory.context.tokens import Counter
from innkeeper.services.memory.digests.model import Digest
from innkeeper.services.memory.events.model import SessionKey
from innkeeper.services.memory.model import Memory


class Contexts:
    def __init__(self, gathering: Gathering, conversation: Conversation, count: Counter) -> None:
        self._gathering = gathering
        self._conversation = conversation
        self._count = count

    async def compose(self, caller: Caller, memory: Memory, wanted: Wanted) -> Context:
        """Never of more tokens than are wanted. Raises InvalidRequest, NotFound."""
        pieces = await self._gathering.pieces(caller, memory, wanted)
        # Texts may be long, and are counted letter by letter.
        return await asyncio.to_thread(self._composed, pieces, wanted)

    async def compact(
        self, memory: Memory, actor: str, session: str, branch: str, keep: int
    ) -> Digest | None:
        """Digest all of a session but its newest turns of `keep` tokens; None when that is all. Raises
        Unavailable, NotFound."""
        key = SessionKey(memory.account, memory.id, actor, session)
        try:
            return await self._conversation.compact(key, branch, keep)
        except ExtractionError as error:
            raise Unavailable(f"No digest could be made: {error}") from error

    def _composed(self, pieces: Candidates, wanted: Wanted) -> Context:
        sections = compose(pieces, wanted.shares, wanted.tokens, self._count)
        text = as_text(sections)
        return Context(self._count(text), wanted.tokens, sections, text, as_converse(sections))
