"""Jobs on DBOS: the contract on both databases, and what survives a kill -9."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innkeeper.engines.jobs.contract import Door, Guestbook, JobsContract, until, wait_for
from innkeeper.engines.jobs.dbos_jobs import DbosJobs
from innkeeper.engines.jobs.jobs import Jobs, JobState, Payload
from innkeeper.engines.jobs.leases import LeaseTimes
from innkeeper.engines.jobs.retries import Retries

_QUICK = Retries(3, 0.01)

# Notes each run of each job in a folder; the job named "slow" then never ends.
_WORKER = """
import asyncio, sys
from pathlib import Path
from innkeeper.engines.jobs.dbos_jobs import DbosJobs

async def main(url, executor, folder):
    async def note(payload):
        with (Path(folder) / payload["name"]).open("a") as file:
            file.write("x")
        if payload["name"] == "slow":
            await asyncio.Event().wait()

    jobs = DbosJobs(url, executor)
    jobs.register("note", note)
    await jobs.open()
    await jobs.start("note", "quick", {"name": "quick"})
    while (await jobs.get("quick")).state != "done":
        await asyncio.sleep(0.01)
    await jobs.start("note", "slow", {"name": "slow"})
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""

_CANCELLER = """
import asyncio, sys
from innkeeper.engines.jobs.dbos_jobs import DbosJobs

async def main():
    jobs = DbosJobs(sys.argv[1], "worker-2")
    await jobs.open()
    await jobs.cancel("long")
    await jobs.close()

asyncio.run(main())
"""


async def killed_worker(url: str, executor: str, folder: Path) -> None:
    """A worker that finished the job "quick" and was killed in the middle of "slow"."""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", _WORKER, url, executor, str(folder))
    await wait_for((folder / "slow").exists)
    worker.send_signal(signal.SIGKILL)
    assert await worker.wait() == -signal.SIGKILL


class TestDbosJobs(JobsContract):
    @pytest.fixture
    async def jobs(self, database_url: str) -> AsyncIterator[Jobs]:
        jobs = DbosJobs(database_url, "worker-1", retries=_QUICK, max_running=4)
        yield jobs
        await jobs.close()


async def test_what_a_killed_server_began_is_finished_and_what_it_finished_is_not_repeated(
    database_url: str, tmp_path: Path
) -> None:
    await killed_worker(database_url, "worker-1", tmp_path)
    guestbook = Guestbook()
    jobs = DbosJobs(database_url, "worker-1")
    jobs.register("note", guestbook)
    await jobs.open()
    await until(jobs, "slow", JobState.DONE)
    await jobs.start("note", "quick", {"name": "quick"})
    assert guestbook.entries == [{"name": "slow"}]
    assert (tmp_path / "quick").read_text() == "x"
    await jobs.close()


async def test_another_worker_takes_over_from_a_dead_one(database_url: str, tmp_path: Path) -> None:
    await killed_worker(database_url, "worker-1", tmp_path)
    guestbook = Guestbook()
    jobs = DbosJobs(database_url, "worker-2", lease_times=LeaseTimes(0.2, 1.0))
    jobs.register("note", guestbook)
    await jobs.open()
    await until(jobs, "slow", JobState.DONE)
    assert guestbook.entries == [{"name": "slow"}]
    await jobs.close()


async def test_a_job_cut_off_by_closing_goes_on_after_the_next_open(database_url: str) -> None:
    door, guestbook = Door(), Guestbook()
    first = DbosJobs(database_url, "worker-1")
    first.register("visit", door)
    await first.open()
    await first.start("visit", "long", {"room": 7})
    await wait_for(lambda: door.inside == 1)
    await first.close()
    assert door.turned_away == 1

    second = DbosJobs(database_url, "worker-1")
    second.register("visit", guestbook)
    await second.open()
    await until(second, "long", JobState.DONE)
    assert guestbook.entries == [{"room": 7}]
    await second.close()


async def test_a_job_is_cancelled_where_it_runs(database_url: str) -> None:
    door = Door()
    jobs = DbosJobs(database_url, "worker-1", lease_times=LeaseTimes(0.1, 10.0))
    jobs.register("wait", door)
    await jobs.open()
    await jobs.start("wait", "long", {})
    await wait_for(lambda: door.inside == 1)
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", _CANCELLER, database_url)
    assert await other.wait() == 0
    await wait_for(lambda: door.turned_away == 1)
    await until(jobs, "long", JobState.CANCELLED)
    await jobs.close()


async def test_one_may_be_open_at_a_time_and_the_next_starts_afresh(tmp_path: Path) -> None:
    guestbooks = [Guestbook(), Guestbook()]
    for number, guestbook in enumerate(guestbooks):
        jobs = DbosJobs(f"sqlite:///{tmp_path / str(number)}.db", "worker-1")
        jobs.register("greet", guestbook)
        await jobs.open()
        other = DbosJobs(f"sqlite:///{tmp_path / 'other'}.db", "worker-1")
        with pytest.raises(RuntimeError, match="open in this process"):
            await other.open()
        await other.close()
        await jobs.start("greet", "same-key", {"number": number})
        await until(jobs, "same-key", JobState.DONE)
        await jobs.close()
    assert [guestbook.entries for guestbook in guestbooks] == [[{"number": 0}], [{"number": 1}]]


async def test_a_database_that_cannot_be_opened_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    jobs = DbosJobs(f"sqlite:///{tmp_path}/no/such/folder/jobs.db", "worker-1")
    with pytest.raises(Exception, match="unable to open database file"):
        await jobs.open()
    fine = DbosJobs(f"sqlite:///{tmp_path}/jobs.db", "worker-1")
    await fine.open()
    await fine.close()


async def test_threads_outlive_the_jobs(tmp_path: Path) -> None:
    """DBOS may not leave its own thread pool behind as the event loop's."""
    jobs = DbosJobs(f"sqlite:///{tmp_path}/jobs.db", "worker-1")
    jobs.register("greet", Guestbook())
    await jobs.open()
    await jobs.start("greet", "key", {})
    await until(jobs, "key", JobState.DONE)
    await jobs.close()
    assert await asyncio.to_thread(lambda: "still here") == "still here"


async def test_the_log_stays_quiet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_payload: Payload) -> None:
        raise ValueError("no room")

    door = Door()
    jobs = DbosJobs(f"sqlite:///{tmp_path}/jobs.db", "worker-1", retries=Retries(1))
    jobs.register("fail", fail)
    jobs.register("wait", door)
    await jobs.open()
    await jobs.start("wait", "long", {})
    await wait_for(lambda: door.inside == 1)
    await jobs.start("fail", "key", {})
    await until(jobs, "key", JobState.FAILED)
    await jobs.close()
    assert capfd.readouterr() == ("", "")
    loud = {(record.name, record.levelname) for record in caplog.records if record.levelno >= logging.WARNING}
    assert loud == {("innkeeper.engines.jobs.retries", "WARNING"), ("dbos", "ERROR")}


async def test_jobs_that_ended_long_ago_are_forgotten(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.engines.jobs.dbos_jobs._FORGET_EVERY_SECONDS", 0.0)
    door = Door()
    jobs = DbosJobs(database_url, "worker-1", keep_days=0.0, lease_times=LeaseTimes(0.2, 10.0))
    jobs.register("greet", Guestbook())
    jobs.register("wait", door)
    await jobs.open()
    await jobs.start("wait", "long", {})
    await jobs.start("greet", "quick", {})
    async with asyncio.timeout(60):
        while await jobs.get("quick") is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await until(jobs, "long", JobState.RUNNING)
    await jobs.close()
