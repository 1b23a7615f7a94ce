"""Many sessions that rest at once: what the paused and the hibernated ones take, and how fast they come back.

One session is hibernated and forked as often as it takes. A fork's image is one of its own, of the same bytes
on disk; each wakes by itself, as those of a sample must show.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.running import RunningServer, new_session

from benchmarks.inn import BEHAVING, Inn
from benchmarks.measure import Measure
from benchmarks.processes import descendants, pss_mib

_HIBERNATED, _PAUSED, _WOKEN = 1000, 50, 20
_AT_A_TIME = 4
_WINDOW_SECONDS = 20.0


def measure(inn: Inn) -> list[Measure]:
    """The server's sandboxes must be such as keep memory."""
    arn = inn.deploy(BEHAVING).arn
    guests = _Guests(inn, arn)
    before = _memory(inn.server)
    first = new_session()
    guests.ask(first)
    hibernated, forked = guests.forks(first, inn.rounds(_HIBERNATED))
    asleep = _memory(inn.server)
    sessions = [new_session() for _ in range(inn.rounds(_PAUSED))]
    paused = guests.paused(sessions)
    resting = _memory(inn.server)
    used = guests.used(sessions)
    listed = guests.listed()
    logical, on_disk = _disk(inn.server.data_dir / "sessions" / "images")
    count, held = len(hibernated), len(sessions)
    awake = hibernated[:: max(count // _WOKEN, 1)][:_WOKEN]
    woken = [guests.woken(one) for one in awake]
    resumed = [guests.woken(one) for one in sessions]
    guests.end([first, *sessions, *awake])
    return [
        _one("hibernate one", "ms", [guests.hibernated]),
        _one(f"fork a hibernated one, {count} times", "ms", forked),
        _one(f"memory (PSS) of {count} hibernated sessions", "MiB", [asleep[0] - before[0]]),
        _one("memory of the server without any", "MiB", [before[1]]),
        _one("memory of the server with them", "MiB", [asleep[1]]),
        _one(f"disk of {count} images, each for itself", "MiB", [logical]),
        _one(f"disk of {count} images, as it is taken", "MiB", [on_disk]),
        _one(f"pause one, {held} times", "ms", paused),
        _one(f"memory (PSS) of {held} paused sessions", "MiB", [resting[0] - asleep[0]]),
        _one(f"processor that they use in {_WINDOW_SECONDS:g} s", "ms", [used * 1e3], aim="0"),
        _one(f"list all {count + held}", "ms", [listed]),
        _one("call a hibernated one, until it answers", "ms", woken),
        _one("call a paused one, until it answers", "ms", resumed),
    ]


class _Guests:
    """The sessions of one agent."""

    def __init__(self, inn: Inn, arn: str) -> None:
        self._inn = inn
        self._arn = arn
        self._path = f"/-/v1/runtimes/{arn.rpartition('/')[2]}/sessions"
        self.hibernated = 0.0

    def ask(self, session: str) -> Any:
        return self._inn.agents.ask(self._arn, session, do="count")

    def forks(self, session: str, count: int) -> tuple[list[str], list[float]]:
        """So many hibernated sessions, and how long each fork took, in ms."""
        self.hibernated = _timed(lambda: self._change(session, "hibernate"))
        made = [new_session() for _ in range(count)]

        def fork(one: str) -> float:
            return _timed(lambda: self._change(session, "fork", {"sessionId": one}))

        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return made, list(pool.map(fork, made))

    def paused(self, sessions: Sequence[str]) -> list[float]:
        """Started and then paused; how long each pause took, in ms."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.ask, sessions))
        return [_timed(lambda one=one: self._change(one, "pause")) for one in sessions]

    def used(self, sessions: Sequence[str]) -> float:
        """Processor time of all of them in the window, in seconds."""
        before = self._cpu_seconds(sessions)
        time.sleep(_WINDOW_SECONDS)
        return self._cpu_seconds(sessions) - before

    def listed(self) -> float:
        return _timed(self._records)

    def woken(self, session: str) -> float:
        """How long its first answer takes, in ms: that of a process which has answered before."""

        def call() -> None:
            assert self.ask(session)["calls"] == 2

        return _timed(call)

    def end(self, sessions: Sequence[str]) -> None:
        """A few at a time: the server would end them all at once."""

        def stop(one: str) -> None:
            self._inn.agents.data.stop_runtime_session(agentRuntimeArn=self._arn, runtimeSessionId=one)

        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(stop, sessions))

    def _cpu_seconds(self, sessions: Sequence[str]) -> float:
        wanted = set(sessions)
        return sum(float(one["cpuSeconds"]) for one in self._records() if one["sessionId"] in wanted)

    def _records(self) -> list[Any]:
        found: list[Any] = []
        query = ""
        while True:
            page = self._inn.server.native("GET", self._path + query)
            found += page["sessions"]
            if not page["nextToken"]:
                return found
            query = f"?nextToken={quote(page['nextToken'], safe='')}"

    def _change(self, session: str, action: str, body: Any = None) -> Any:
        return self._inn.server.native("POST", f"{self._path}/{session}/{action}", body)


def _memory(server: RunningServer) -> tuple[float, float]:
    """Of all below the server, and of the server itself, in MiB."""
    assert server.process is not None
    pid = server.process.pid
    return sum(pss_mib(one) or 0.0 for one in descendants(pid)), pss_mib(pid) or 0.0


def _disk(folder: Path) -> tuple[float, float]:
    """What the files say, and what they take together, in MiB."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    taken = {one.st_ino: one.st_blocks * 512 for one in files}
    return sum(one.st_size for one in files) / (1 << 20), sum(taken.values()) / (1 << 20)


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _one(what: str, unit: str, samples: Sequence[float], aim: str = "") -> Measure:
    return Measure("sleepers", what, unit, samples, aim=aim)
