"""Digests: made of the older turns of a session when there are too many, and gone on with when more come.

The turns themselves stay: a digest stands for them in contexts alone.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.extraction.extractor import ExtractionError, Extractor, Guidance, Kind, Reading, Said
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound
from innkeeper.services.memory.digests import store
from innkeeper.services.memory.digests.model import Digest, DigestKey, Ending, Pace
from innkeeper.services.memory.events.model import TRUNK, Event, SessionKey
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.events.store import Place, keeps_events
from innkeeper.services.memory.learning.model import trust_of
from innkeeper.services.memory.records.model import Trust
from innkeeper.services.memory.safety import held_store
from innkeeper.services.memory.safety.held import Held, HeldKind, new_held_id
from innkeeper.services.memory.safety.vetter import Vetter

_GUIDANCE = Path(__file__).with_name("guidance.txt").read_text("utf-8").strip()
_PAUSED_MOST = 1000

_log = logging.getLogger(__name__)


class Digests:
    def __init__(
        self,
        database: Database,
        vetter: Vetter,
        events: Events,
        extractor: Extractor,
        pace: Pace,
        clock: Clock,
    ) -> None:
        self._database = database
        self._vetter = vetter
        self._events = events
        self._extractor = extractor
        self._pace = pace
        self._clock = clock
        self._paused: dict[DigestKey, float] = {}

    async def find(self, session: SessionKey, branch: str) -> Digest | None:
        async with self._database.begin() as connection:
            return await store.find_digest(connection, _key(session, branch))

    async def extend(
        self, session: SessionKey, branch: str, until: Place, *, asked: bool = False
    ) -> Digest | None:
        """The digest of all before a place, piece by piece, each kept when it is made. Raises
        ExtractionError, NotFound."""
        digest = await self.find(session, branch)
        while True:
            ending = digest.ending if digest else None
            rows = await self._events.oldest(session, branch, ending, until, self._pace.events)
            if not rows:
                return digest
            made, held = await self._with(_key(session, branch), digest, rows)
            made = replace(made, asked=made.asked or asked)
            kept = await self._keep(made, held, session, rows)
            digest = made if kept else await self.find(session, branch)

    async def ask(self, digest: Digest) -> Digest:
        """The digest as one that was asked for."""
        asked = replace(digest, asked=True, version=digest.version + 1)
        async with self._database.begin() as connection:
            return asked if await store.keep_digest(connection, asked) else digest

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

    async def put_back(self, connection: AsyncConnection, held: Held) -> None:
        """Lines that waited for review, at the end of what the digest says by now. Raises NotFound when the
        session has none any more, Conflict when it is made anew just now."""
        key = DigestKey(held.account, held.memory, held.actor, held.session, held.name)
        digest = await store.find_digest(connection, key)
        if digest is None:
            raise NotFound("The session has no digest any more")
        text = "\n".join(part for part in (digest.text, held.text) if part)
        longer = replace(digest, text=text, version=digest.version + 1, updated_at=self._clock.now())
        if not await store.keep_digest(connection, longer):
            raise Conflict("The digest is made anew at the same time; try again")

    async def _keep(
        self, made: Digest, held: Sequence[Held], session: SessionKey, rows: Sequence[tuple[Place, Event]]
    ) -> bool:
        """False when another was made meanwhile. Raises NotFound when what was read is erased: it must not
        come back by this."""
        async with self._database.begin() as connection:
            kept = await store.keep_digest(connection, made)
            if not await keeps_events(connection, session, [row for (_, row), _ in rows]):
                raise NotFound("The session was erased while its digest was made")
            if kept:
                await held_store.hold(connection, held)
        return kept

    async def _with(
        self, key: DigestKey, before: Digest | None, rows: Sequence[tuple[Place, Event]]
    ) -> tuple[Digest, Sequence[Held]]:
        """The digest with these events, the oldest first; and what of it has to wait for review."""
        turns = [turn for _, event in rows for turn in _said(event)]
        text = before.text if before else ""
        lines, held = [text] if text else [], list[Held]()
        version = before.version + 1 if before else 1
        if turns:
            guidance = Guidance(_GUIDANCE, account=key.account)
            reading = Reading(Kind.SUMMARY, turns, present=lines, guidance=guidance)
            findings = "\n".join(one.text for one in await self._extractor.extract(reading))
            lines, held = await self._let_in(
                key, version, text, findings, trust_of([one.role for one in turns])
            )
        place, last = rows[-1]
        if before is not None:
            place = max(place, (before.ending.happened_at, before.ending.row))
        seen = max([row for (_, row), _ in rows] + ([before.ending.seen] if before else []))
        digest = Digest(
            key=key,
            text="\n".join(lines) or text,
            ending=Ending(place[0], place[1], seen),
            event_id=last.id,
            turns=len(turns) + (before.turns if before else 0),
            version=version,
            asked=before is not None and before.asked,
            updated_at=self._clock.now(),
        )
        return digest, held

    async def _let_in(
        self, key: DigestKey, version: int, present: str, text: str, trust: Trust
    ) -> tuple[list[str], list[Held]]:
        """Line by line: what stood there before was let in then, or released."""
        lines, known = text.split("\n"), set(present.split("\n"))
        new = [line for line in dict.fromkeys(lines) if line.strip() and line not in known]
        policy = await self._vetter.policy_at(key.account, key.memory)
        judged = zip(new, await self._vetter.held_back(policy, new, trust), strict=True)
        aside = {line: concerns for line, concerns in judged if concerns}
        if not aside:
            return lines, []
        held = Held(
            account=key.account,
            memory=key.memory,
            id=new_held_id(),
            kind=HeldKind.DIGEST,
            actor=key.actor,
            session=key.session,
            name=key.branch,
            number=version,
            text="\n".join(aside),
            detail={},
            concerns=list(dict.fromkeys(sign for concerns in aside.values() for sign in concerns)),
            created_at=self._clock.now(),
        )
        return [line for line in lines if line not in aside], [held]


def _key(session: SessionKey, branch: str) -> DigestKey:
    name = "" if branch == TRUNK else branch
    return DigestKey(session.account, session.memory, session.actor, session.session, name)


def _said(event: Event) -> list[Said]:
    return [
        Said(f"{event.id}/{number}", role, text, event.happened_at)
        for number, (role, text) in enumerate(event.turns())
    ]
