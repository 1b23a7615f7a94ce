"""Digests: made of the older turns of a session when there are too many, and gone on with when more come.

The turns themselves stay: a digest stands for them in contexts alone.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from innkeeper.engines.extraction.extractor import ExtractionError, Extractor, Guidance, Kind, Reading, Said
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound
from innkeeper.services.memory.digests import store
from innkeeper.services.memory.digests.model import Digest, DigestKey, Ending, Pace
from innkeeper.services.memory.events.model import TRUNK, Event, SessionKey
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.events.store import Place, keeps_events

_GUIDANCE = Path(__file__).with_name("guidance.txt").read_text("utf-8").strip()
_PAUSED_MOST = 1000

_log = logging.getLogger(__name__)


class Digests:
    def __init__(
        self, database: Database, events: Events, extractor: Extractor, pace: Pace, clock: Clock
    ) -> None:
        self._database = database
        self._events = events
        self._extractor = extractor
        self._pace = pace
        self._clock = clock
        self._paused: dict[DigestKey, float] = {}

    async def find(self, session: SessionKey, branch: str) -> Digest | None:
        async with self._database.begin() as connection:
            return await store.find_digest(connection, _key(session, branch))

    async def extend(self, session: SessionKey, branch: str, until: Place) -> Digest | None:
        """The digest of all before a place, piece by piece, each kept when it is made. Raises
        ExtractionError, NotFound."""
        digest = await self.find(session, branch)
        while True:
            ending = digest.ending if digest else None
            rows = await self._events.oldest(session, branch, ending, until, self._pace.events)
            if not rows:
                return digest
            made = await self._with(_key(session, branch), digest, rows)
            digest = made if await self._keep(made, session, rows) else await self.find(session, branch)

    async def extend_in_time(self, session: SessionKey, branch: str, until: Place) -> Digest | None:
        """The same for who is waited for: what is made in time, or what there was."""
        key, now = _key(session, branch), self._clock.now().timestamp()
        if self._paused.get(key, 0) > now:
            return await self.find(session, branch)
        try:
            async with asyncio.timeout(self._pace.wait_seconds):
                return await self.extend(session, branch, until)
        except (ExtractionError, TimeoutError) as error:
            _log.warning("the digest of a session could not be made in time: %s", error)
            if len(self._paused) >= _PAUSED_MOST:
                self._paused.clear()
            self._paused[key] = now + self._pace.pause_seconds
            return await self.find(session, branch)

    async def _keep(self, made: Digest, session: SessionKey, rows: Sequence[tuple[Place, Event]]) -> bool:
        """False when another was made meanwhile. Raises NotFound when what was read is erased: it must not
        come back by this."""
        async with self._database.begin() as connection:
            kept = await store.keep_digest(connection, made)
            if not await keeps_events(connection, session, [row for (_, row), _ in rows]):
                raise NotFound("The session was erased while its digest was made")
        return kept

    async def _with(
        self, key: DigestKey, before: Digest | None, rows: Sequence[tuple[Place, Event]]
    ) -> Digest:
        """The digest with these events, the oldest first."""
        turns = [turn for _, event in rows for turn in _said(event)]
        text = before.text if before else ""
        if turns:
            present = [text] if text else []
            guidance = Guidance(_GUIDANCE, account=key.account)
            reading = Reading(Kind.SUMMARY, turns, present=present, guidance=guidance)
            text = "\n".join(one.text for one in await self._extractor.extract(reading)) or text
        place, last = rows[-1]
        if before is not None:
            place = max(place, (before.ending.happened_at, before.ending.row))
        seen = max([row for (_, row), _ in rows] + ([before.ending.seen] if before else []))
        return Digest(
            key=key,
            text=text,
            ending=Ending(place[0], place[1], seen),
            event_id=last.id,
            turns=len(turns) + (before.turns if before else 0),
            version=before.version + 1 if before else 1,
            updated_at=self._clock.now(),
        )


def _key(session: SessionKey, branch: str) -> DigestKey:
    name = "" if branch == TRUNK else branch
    return DigestKey(session.account, session.memory, session.actor, session.session, name)


def _said(event: Event) -> list[Said]:
    return [
        Said(f"{event.id}/{number}", role, text, event.happened_at)
        for number, (role, text) in enumerate(event.turns())
    ]
