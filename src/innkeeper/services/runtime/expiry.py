"""When sessions end by themselves: too old, idle too long, or no longer healthy; and when they rest."""

import asyncio
import logging
from dataclasses import dataclass

from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, QuotaExceeded, RetryableConflict
from innkeeper.services.runtime.model import SessionStatus
from innkeeper.services.runtime.session import Ping, Session
from innkeeper.services.runtime.sessions import Sessions

_LOG = logging.getLogger(__name__)
_PING_SECONDS = 30.0
_PINGS_PER_IDLE_TIME = 10
_FAILED_PINGS = 3


@dataclass(slots=True)
class _Pulse:
    """What we know of a session's health; times are readings of the monotonic clock."""

    at: float
    last: Ping | None = None
    failures: int = 0
    warned: bool = False
    cannot_pause: bool = False
    cannot_hibernate: bool = False


class Expiry:
    """Looks at every live session every `sweep_seconds`. A paused one may grow too old, but is not idle.

    One that was idle for `idle_pause_seconds` is paused; 0 means never. Where sessions hibernate, one that
    nobody used for its idle time does so, paused or not, instead of being ended.
    """

    def __init__(
        self, sessions: Sessions, clock: Clock, sweep_seconds: float, idle_pause_seconds: float = 0
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._sweep_seconds = sweep_seconds
        self._idle_pause_seconds = idle_pause_seconds
        self._pulses: dict[str, _Pulse] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._sweep_seconds)
            try:
                await self.sweep()
            except Exception:
                _LOG.exception("a sweep over the sessions failed; the next one goes on")

    async def sweep(self) -> None:
        """End, hibernate or pause every session whose time has come."""
        await self._sessions.end_overdue()
        live = [session for session in self._sessions.lives.all if session.status.settled]
        self._pulses = {one.id: self._pulses.get(one.id) or _Pulse(one.started) for one in live}
        await asyncio.gather(*(self._look_at(session, self._pulses[session.id]) for session in live))

    async def _look_at(self, session: Session, pulse: _Pulse) -> None:
        lifecycle, now = session.version.lifecycle, self._clock.monotonic()
        if now - session.started >= lifecycle.max_seconds:
            return await self._sessions.end(session, f"maximum lifetime of {lifecycle.max_seconds}s reached")
        if session.status is SessionStatus.PAUSED and self._unused_for(session, lifecycle.idle_seconds):
            await self._hibernate(session, pulse)
        if not _idles(session):
            return None
        if session.version.contract.has_ping and now - pulse.at >= self._between_pings(
            lifecycle.idle_seconds
        ):
            await self._ping(session, pulse)
        if pulse.failures >= _FAILED_PINGS:
            return await self._sessions.end(session, f"unhealthy: {pulse.failures} pings failed")
        if self._idle_for(session, lifecycle.idle_seconds):
            if not await self._hibernate(session, pulse):
                await self._sessions.end(session, f"idle for {lifecycle.idle_seconds}s")
            return None
        if self._idle_pause_seconds and self._idle_for(session, self._idle_pause_seconds):
            await self._pause(session, pulse)
        return None

    def _between_pings(self, idle_seconds: int) -> float:
        return min(_PING_SECONDS, idle_seconds / _PINGS_PER_IDLE_TIME)

    def _idle_for(self, session: Session, seconds: float) -> bool:
        return _idles(session) and self._unused_for(session, seconds)

    def _unused_for(self, session: Session, seconds: float) -> bool:
        return self._clock.monotonic() - session.last_used >= seconds

    async def _hibernate(self, session: Session, pulse: _Pulse) -> bool:
        """False where that is not wanted, or cannot be done: then its log says why, once."""
        if not self._sessions.hibernates or pulse.cannot_hibernate:
            return False
        try:
            await self._sessions.hibernate(session)
        except (Conflict, RetryableConflict, QuotaExceeded) as error:
            pulse.cannot_hibernate = True
            session.log.note(error.message)
            return False
        return True

    async def _pause(self, session: Session, pulse: _Pulse) -> None:
        """Unless the agent, asked once more, says that it is busy, or does not answer."""
        if pulse.cannot_pause:
            return
        if session.version.contract.has_ping:
            await self._ping(session, pulse)
        if pulse.failures or not self._idle_for(session, self._idle_pause_seconds):
            return
        try:
            await self._sessions.lives.pause(session)
        except (Conflict, RetryableConflict) as error:
            pulse.cannot_pause = True
            session.log.note(error.message)

    async def _ping(self, session: Session, pulse: _Pulse) -> None:
        ping = await session.ping()
        pulse.at = self._clock.monotonic()
        if session.status is not SessionStatus.READY:
            return
        if ping is None:
            pulse.failures += 1
            return
        pulse.failures = 0
        if ping.busy:
            session.touch()
        elif _advances_only(pulse.last, ping) and not pulse.warned:
            pulse.warned = True
            session.log.note(
                "/ping moves time_of_last_update although its status stays the same: it must be the time of "
                "the last change of status, and it does not keep the session alive"
            )
        pulse.last = ping


def _idles(session: Session) -> bool:
    return session.status is SessionStatus.READY and not session.active


def _advances_only(last: Ping | None, ping: Ping) -> bool:
    """The clock trap: the same status, said to have changed just now."""
    return (
        last is not None
        and last.status == ping.status
        and ping.time_of_last_update is not None
        and ping.time_of_last_update != last.time_of_last_update
    )
