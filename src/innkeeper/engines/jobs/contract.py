"""What every driver of `Jobs` does, as tests.

To run them on a driver of your own, subclass `JobsContract` in a pytest module (with pytest-asyncio in auto
mode) and give it a fixture `jobs`: not opened yet, with 3 attempts a job and short delays between them, with
4 handlers at once, closed at the end.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from innkeeper.engines.jobs.jobs import Job, Jobs, JobState, Payload

_PATIENCE_SECONDS = 20.0


async def until(jobs: Jobs, key: str, state: JobState) -> Job:
    """The job, once it is in that state."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            job = await jobs.get(key)
            if job is not None and job.state is state:
                return job
            await asyncio.sleep(0.02)


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            if condition():
                return
            await asyncio.sleep(0.02)


class Guestbook:
    """A handler that notes its payloads."""

    def __init__(self) -> None:
        self.entries: list[Any] = []

    async def __call__(self, payload: Payload) -> None:
        self.entries.append(payload)


class Door:
    """A handler that waits until it is opened, and counts who is inside."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.inside = 0
        self.most = 0
        self.turned_away = 0

    async def __call__(self, _payload: Payload) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.turned_away += 1
            raise
        finally:
            self.inside -= 1


class JobsContract:
    async def test_a_job_is_done_with_its_payload(self, jobs: Jobs) -> None:
        guestbook = Guestbook()
        jobs.register("greet", guestbook)
        await jobs.open()
        payload = {"name": "Ada", "nights": 2, "rooms": [1, None, 2.5], "é": {"deep": True}}
        await jobs.start("greet", "greet-ada", payload)
        assert await until(jobs, "greet-ada", JobState.DONE) == Job("greet-ada", "greet", JobState.DONE)
        assert guestbook.entries == [payload]

    async def test_a_job_begins_promptly(self, jobs: Jobs) -> None:
        begun = asyncio.Event()

        async def begin(_payload: Payload) -> None:
            begun.set()

        jobs.register("begin", begin)
        await jobs.open()
        await jobs.start("begin", "now", {})
        await asyncio.wait_for(begun.wait(), 1.0)

    async def test_a_key_starts_one_job(self, jobs: Jobs) -> None:
        guestbook = Guestbook()
        jobs.register("greet", guestbook)
        await jobs.open()
        await asyncio.gather(*(jobs.start("greet", "same", {"number": number}) for number in range(5)))
        await until(jobs, "same", JobState.DONE)
        await jobs.start("greet", "same", {"number": 99})
        await jobs.start("greet", "other", {"number": 100})
        await until(jobs, "other", JobState.DONE)
        assert len(guestbook.entries) == 2
        assert guestbook.entries[1] == {"number": 100}

    async def test_misuse_is_told(self, jobs: Jobs) -> None:
        jobs.register("greet", Guestbook())
        jobs.register("part", Guestbook())
        await _raises(RuntimeError, jobs.start("greet", "early", {}))
        await jobs.open()
        await jobs.start("greet", "taken", {})
        await _raises(ValueError, jobs.start("part", "taken", {}))
        await _raises(ValueError, jobs.start("unknown", "key", {}))
        await _raises(TypeError, jobs.start("greet", "no-json", {"value": object()}))
        await _raises(ValueError, jobs.schedule("greet", "every now and then"))
        assert await jobs.get("key") is None
        assert await jobs.get("no-json") is None

    async def test_a_handler_that_fails_is_tried_again(self, jobs: Jobs) -> None:
        attempts = 0

        async def flaky(_payload: Payload) -> None:
            nonlocal attempts
            attempts += 1
            if attempts < 3:
                raise ConnectionError("not yet")

        jobs.register("flaky", flaky)
        await jobs.open()
        await jobs.start("flaky", "third-time-lucky", {})
        assert (await until(jobs, "third-time-lucky", JobState.DONE)).error is None
        assert attempts == 3

    async def test_a_job_fails_when_its_attempts_are_used_up(self, jobs: Jobs) -> None:
        attempts = 0

        async def broken(_payload: Payload) -> None:
            nonlocal attempts
            attempts += 1
            raise LookupError("the room is gone")

        jobs.register("broken", broken)
        await jobs.open()
        await jobs.start("broken", "hopeless", {})
        job = await until(jobs, "hopeless", JobState.FAILED)
        assert job.error == "LookupError: the room is gone"
        await jobs.start("broken", "hopeless", {})
        assert (await until(jobs, "hopeless", JobState.FAILED)) == job
        assert attempts == 3

    async def test_a_running_job_can_be_seen_and_cancelled(self, jobs: Jobs) -> None:
        door = Door()
        jobs.register("wait", door)
        await jobs.open()
        await jobs.start("wait", "long", {})
        await wait_for(lambda: door.inside == 1)
        assert (await until(jobs, "long", JobState.RUNNING)).key == "long"
        await jobs.cancel("long")
        assert await until(jobs, "long", JobState.CANCELLED)
        await wait_for(lambda: door.turned_away == 1)
        assert await until(jobs, "long", JobState.CANCELLED)

    async def test_cancelling_what_has_ended_or_never_was_does_nothing(self, jobs: Jobs) -> None:
        jobs.register("greet", Guestbook())
        await jobs.open()
        await jobs.start("greet", "quick", {})
        await until(jobs, "quick", JobState.DONE)
        await jobs.cancel("quick")
        await jobs.cancel("never")
        assert await until(jobs, "quick", JobState.DONE)
        assert await jobs.get("never") is None

    async def test_only_so_many_handlers_run_at_once(self, jobs: Jobs) -> None:
        door = Door()
        jobs.register("wait", door)
        await jobs.open()
        for number in range(10):
            await jobs.start("wait", f"wait-{number}", {})
        await wait_for(lambda: door.inside == 4)
        door.opened.set()
        for number in range(10):
            await until(jobs, f"wait-{number}", JobState.DONE)
        assert door.most == 4

    async def test_jobs_are_listed_by_kind(self, jobs: Jobs) -> None:
        jobs.register("greet", Guestbook())
        jobs.register("part", Guestbook())
        await jobs.open()
        for key in ("a", "b", "c"):
            await jobs.start("greet", key, {})
            await until(jobs, key, JobState.DONE)
        assert [job.key for job in await jobs.list("greet")] == ["c", "b", "a"]
        assert await jobs.list("part") == []

    async def test_a_handler_may_start_other_jobs(self, jobs: Jobs) -> None:
        guestbook = Guestbook()

        async def host(payload: Payload) -> None:
            await jobs.start("greet", "from-inside", payload)
            assert await jobs.get("from-inside") is not None

        jobs.register("host", host)
        jobs.register("greet", guestbook)
        await jobs.open()
        await jobs.start("host", "party", {"name": "Ada"})
        await until(jobs, "party", JobState.DONE)
        await until(jobs, "from-inside", JobState.DONE)
        assert guestbook.entries == [{"name": "Ada"}]

    async def test_a_schedule_runs_a_kind_by_the_clock(self, jobs: Jobs) -> None:
        guestbook = Guestbook()
        jobs.register("tick", guestbook)
        await jobs.open()
        await jobs.schedule("tick", "* * * * * *")
        await wait_for(lambda: len(guestbook.entries) >= 2)
        keys = [job.key for job in await jobs.list("tick")]
        assert guestbook.entries[:2] == [{}, {}]
        assert all(key.startswith("tick@20") for key in keys)

    async def test_closing_ends_the_handlers_and_may_be_done_twice(self, jobs: Jobs) -> None:
        door = Door()
        jobs.register("wait", door)
        await jobs.open()
        await jobs.start("wait", "long", {})
        await wait_for(lambda: door.inside == 1)
        await jobs.close()
        assert (door.inside, door.turned_away) == (0, 1)
        await jobs.close()


async def _raises(kind: type[Exception], awaitable: Any) -> None:
    try:
        await awaitable
    except kind:
        return
    raise AssertionError(f"no {kind.__name__} was raised")
