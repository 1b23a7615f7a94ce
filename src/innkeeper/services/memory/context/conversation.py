"""The conversation of a context: its newest turns, and the digest of those before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from innkeeper.services.memory.context.model import Part, Piece, Wanted
from innkeeper.services.memory.context.tokens import Counter
from innkeeper.services.memory.digests.model import Digest, Ending
from innkeeper.services.memory.digests.service import Digests
from innkeeper.services.memory.events.model import Event, SessionKey
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.events.store import Place
from innkeeper.services.memory.model import Memory


@dataclass(frozen=True, slots=True)
class _Tail:
    """The newest turns first. What lies before `until` is more than is to be kept; None when all is."""

    pieces: Sequence[Piece]
    tokens: int
    until: Place | None


class Conversation:
    """`share` is the part of a budget above which the older turns are digested, unless it is said."""

    def __init__(self, events: Events, digests: Digests, count: Counter, share: float) -> None:
        self._events = events
        self._digests = digests
        self._count = count
        self._share = share

    async def pieces(self, memory: Memory, wanted: Wanted) -> Mapping[Part, Sequence[Piece]]:
        """Turns, and the digest. Raises NotFound for a branch that is not there."""
        key = SessionKey(memory.account, memory.id, wanted.actor, wanted.session or "")
        await self._events.check_branch(key, wanted.branch)
        above = int(wanted.tokens * self._share) if wanted.above is None else wanted.above
        keep = above // 2 if wanted.keep is None else wanted.keep
        if not wanted.shares.get(Part.DIGEST):
            tail = await self._tail(key, wanted.branch, None, wanted.tokens, keep)
            return {Part.RECENT: tail.pieces}
        digest = await self._digests.find(key, wanted.branch)
        tail = await self._tail(key, wanted.branch, _ending(digest), max(above, wanted.tokens), keep)
        if tail.tokens > above and tail.until is not None:
            digest = await self._digests.extend_in_time(key, wanted.branch, tail.until)
            tail = await self._tail(key, wanted.branch, _ending(digest), wanted.tokens, keep)
        elif digest and not digest.asked and tail.tokens < keep // 2:
            return await self._beside(digest, tail.pieces, key, wanted.branch, above, keep)
        return {Part.RECENT: tail.pieces, Part.DIGEST: [_digest(digest)] if digest else []}

    async def compact(self, key: SessionKey, branch: str, keep: int) -> Digest | None:
        """Digest all but the newest turns of `keep` tokens. Raises ExtractionError; NotFound for a
        branch that is not there."""
        await self._events.check_branch(key, branch)
        digest = await self._digests.find(key, branch)
        tail = await self._tail(key, branch, _ending(digest), keep, keep)
        if tail.until is not None:
            return await self._digests.extend(key, branch, tail.until, asked=True)
        return digest if digest is None or digest.asked else await self._digests.ask(digest)

    async def _beside(
        self,
        digest: Digest,
        others: Sequence[Piece],
        key: SessionKey,
        branch: str,
        above: int,
        keep: int,
    ) -> Mapping[Part, Sequence[Piece]]:
        """A digest that was made for a smaller budget is no reason to leave out turns that have room now: all
        of them, or the newest ones beside it, and what is not in it."""
        whole = await self._tail(key, branch, None, above, keep)
        if whole.tokens <= above:
            return {Part.RECENT: whole.pieces}
        tail = await self._tail(key, branch, None, keep, keep)
        shown = {piece.id for piece in tail.pieces}
        late = [piece for piece in others if piece.id not in shown]
        pieces = [_numbered(piece, number) for number, piece in enumerate([*tail.pieces, *late])]
        return {Part.RECENT: pieces, Part.DIGEST: [_digest(digest)]}

    async def _tail(self, key: SessionKey, branch: str, ending: Ending | None, most: int, keep: int) -> _Tail:
        """Until there are more tokens than `most`."""
        pieces: list[Piece] = []
        tokens = 0
        until: Place | None = None
        async for place, event in self._events.backwards(key, branch, ending):
            for piece in reversed(said(event)):
                pieces.append(_numbered(piece, len(pieces)))
                tokens += self._count(piece.text)
            # The newest event is kept in any case.
            if until is None and tokens > keep and len(pieces) > len(event.turns()):
                until = place[0], place[1] + 1
            if tokens > most and until is not None:
                break
        return _Tail(pieces, tokens, until)


def _numbered(piece: Piece, number: int) -> Piece:
    return replace(piece, why={"newest": number + 1}, happened=-number)


def said(event: Event) -> list[Piece]:
    """The turns of an event, in order."""
    turns = event.turns()
    return [
        Piece(
            id=event.id,
            text=text,
            why={},
            marks={"role": role},
            about={"role": role, "at": event.happened_at.isoformat()},
            role=role,
            event=event.id,
            turns=len(turns),
        )
        for role, text in turns
    ]


def _digest(digest: Digest) -> Piece:
    return Piece(
        id=digest.event_id,
        text=digest.text,
        why={"turns": digest.turns},
        marks={"of": f"{digest.turns} turns before these"},
        about={"at": digest.updated_at.isoformat()},
    )


def _ending(digest: Digest | None) -> Ending | None:
    return digest.ending if digest else None
