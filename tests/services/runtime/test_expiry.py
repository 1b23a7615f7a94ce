"""When sessions end by themselves, told with a clock that need not be waited for."""

from pathlib import Path
from typing import Any, cast

import pytest

from innkeeper.kernel.errors import Conflict, InnkeeperError
from innkeeper.services.runtime.expiry import Expiry
from innkeeper.services.runtime.model import RuntimeVersion, SessionKey, SessionRecord, SessionStatus, Status
from innkeeper.services.runtime.session import Ping, Session
from tests.clock import SettableClock


class ScriptedSession(Session):
    """A session whose agent answers pings from a script; None is no answer."""

    answer: Ping | None = Ping("Healthy", 1.0)
    pings = 0

    async def ping(self) -> Ping | None:
        self.pings += 1
        return self.answer


class Notes:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


class Sessions:
    """The part of the registry that expiry needs."""

    def __init__(self, session: Session) -> None:
        self.all = [session]
        self.lives = self
        self.hibernates = False
        self.reasons: list[str] = []
        self.refusal: InnkeeperError | None = None

    async def pause(self, session: Session) -> None:
        if self.refusal is not None:
            raise self.refusal
        session.status = SessionStatus.PAUSED

    async def hibernate(self, session: Session) -> None:
        if self.refusal is not None:
            raise self.refusal
        session.status = SessionStatus.HIBERNATED

    async def end_overdue(self) -> None:
        pass

    async def end(self, session: Session, reason: str) -> None:
        session.status = SessionStatus.TERMINATED
        self.reasons.append(reason)


class Hotel:
    """One session, its expiry and its clock."""

    def __init__(self, idle_pause_seconds: float = 0, **lifecycle: int) -> None:
        self.clock = SettableClock()
        version = RuntimeVersion(
            "1" * 12, "r", 1, {"lifecycleConfiguration": lifecycle}, Status.READY, self.clock.now()
        )
        key = SessionKey("1" * 12, "r", "DEFAULT", "s" * 33)
        now = self.clock.now()
        record = SessionRecord("id", key, 1, "host", SessionStatus.READY, now, now)
        self.session = ScriptedSession(record, version, Path("unused"), self.clock)
        self.session.status = SessionStatus.READY
        self.notes = cast(Any, Notes())
        self.session.log = self.notes
        self.sessions = cast(Any, Sessions(self.session))
        self.expiry = Expiry(self.sessions, self.clock, 5.0, idle_pause_seconds)

    def paused(self) -> bool:
        return self.session.status is SessionStatus.PAUSED

    def hibernated(self) -> bool:
        return self.session.status is SessionStatus.HIBERNATED

    async def after(self, seconds: float, step: float = 5.0) -> list[str]:
        """Let time pass in sweeps; the reasons for which the session ended until now."""
        for _ in range(round(seconds / step)):
            self.clock.pass_time(step)
            await self.expiry.sweep()
        return list(self.sessions.reasons)


@pytest.fixture
def hotel() -> Hotel:
    return Hotel(idleRuntimeSessionTimeout=100, maxLifetime=1000)


async def test_an_idle_session_ends_after_its_idle_time(hotel: Hotel) -> None:
    assert await hotel.after(95) == []
    assert await hotel.after(5) == ["idle for 100s"]


async def test_a_request_makes_the_idle_time_start_again(hotel: Hotel) -> None:
    await hotel.after(90)
    with hotel.session.use():
        assert await hotel.after(200) == []
    assert await hotel.after(95) == []
    assert await hotel.after(5) == ["idle for 100s"]


async def test_a_busy_agent_is_kept_alive_until_it_says_healthy(hotel: Hotel) -> None:
    hotel.session.answer = Ping("HealthyBusy", 1.0)
    assert await hotel.after(500) == []
    hotel.session.answer = Ping("Healthy", 501.0)
    assert await hotel.after(85) == []
    assert await hotel.after(20) == ["idle for 100s"]


async def test_the_lifetime_ends_even_a_busy_session(hotel: Hotel) -> None:
    hotel.session.answer = Ping("HealthyBusy")
    assert await hotel.after(995) == []
    assert await hotel.after(5) == ["maximum lifetime of 1000s reached"]


async def test_a_time_of_last_update_that_only_advances_keeps_nobody_alive(hotel: Hotel) -> None:
    for second in range(0, 95, 5):
        hotel.session.answer = Ping("Healthy", float(second))
        assert await hotel.after(5) == []
    hotel.session.answer = Ping("Healthy", 1000.0)
    assert await hotel.after(5) == ["idle for 100s"]
    assert len([line for line in hotel.notes.lines if "time_of_last_update" in line]) == 1


async def test_an_agent_that_no_longer_answers_pings_is_unhealthy(hotel: Hotel) -> None:
    hotel.session.answer = None
    assert await hotel.after(25) == []
    assert await hotel.after(10) == ["unhealthy: 3 pings failed"]


async def test_pings_are_few_where_the_idle_time_is_long() -> None:
    hotel = Hotel()
    await hotel.after(600)
    assert hotel.session.pings <= 600 / 30 + 1


async def test_an_idle_session_is_paused_and_then_neither_pinged_nor_idle() -> None:
    hotel = Hotel(60, idleRuntimeSessionTimeout=100, maxLifetime=1000)
    assert await hotel.after(55) == []
    assert not hotel.paused()
    await hotel.after(5)
    assert hotel.paused()
    pings = hotel.session.pings
    assert await hotel.after(900) == []
    assert hotel.session.pings == pings
    assert await hotel.after(60) == ["maximum lifetime of 1000s reached"]


async def test_an_agent_that_works_in_the_background_is_not_paused() -> None:
    hotel = Hotel(10, idleRuntimeSessionTimeout=500, maxLifetime=1000)
    hotel.session.answer = Ping("HealthyBusy", 1.0)
    await hotel.after(400)
    assert not hotel.paused()


async def test_an_agent_that_does_not_answer_is_not_paused_but_ends() -> None:
    hotel = Hotel(10, idleRuntimeSessionTimeout=500, maxLifetime=1000)
    hotel.session.answer = None
    assert await hotel.after(400) == ["unhealthy: 3 pings failed"]


async def test_where_nothing_can_be_paused_the_log_says_so_once() -> None:
    hotel = Hotel(10, idleRuntimeSessionTimeout=100, maxLifetime=1000)
    hotel.sessions.refusal = Conflict("The session cannot be paused: no freezer")
    assert await hotel.after(100) == ["idle for 100s"]
    assert hotel.notes.lines == ["The session cannot be paused: no freezer"]


@pytest.mark.parametrize("pause_seconds", [0, 20])
async def test_where_sessions_hibernate_an_idle_or_paused_one_does_so_at_its_idle_time(
    pause_seconds: float,
) -> None:
    hotel = Hotel(pause_seconds, idleRuntimeSessionTimeout=100, maxLifetime=1000)
    hotel.sessions.hibernates = True
    assert await hotel.after(95) == []
    assert hotel.paused() is bool(pause_seconds)
    assert await hotel.after(5) == []
    assert hotel.hibernated()


async def test_one_that_cannot_hibernate_ends_as_others_do() -> None:
    hotel = Hotel(idleRuntimeSessionTimeout=100, maxLifetime=1000)
    hotel.sessions.hibernates = True
    hotel.sessions.refusal = Conflict("Sessions cannot be hibernated here")
    assert await hotel.after(100) == ["idle for 100s"]
    assert hotel.notes.lines == ["Sessions cannot be hibernated here"]
