"""Many sessions at once: how fast they start, what they weigh, and that all still answer."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.running import new_session

from benchmarks.client import through
from benchmarks.inn import BEHAVING, Deployed, Inn
from benchmarks.measure import Measure
from benchmarks.processes import descendants, pss_mib

_SESSIONS = 200
_AT_A_TIME = 8
_ORDER = {"do": "count"}


def measure(inn: Inn) -> list[Measure]:
    agent = inn.deploy(BEHAVING)
    assert inn.server.process is not None
    server = inn.server.process.pid
    before = pss_mib(server) or 0.0
    sessions = [new_session() for _ in range(inn.rounds(_SESSIONS))]
    began = time.perf_counter()
    starts = _ask_all(inn, agent, sessions)
    started = time.perf_counter() - began
    processes = descendants(server)
    weights = [weight for pid in processes if (weight := pss_mib(pid)) is not None]
    after = pss_mib(server) or 0.0
    answers = _ask_all(inn, agent, sessions)
    count = len(sessions)
    hidden = "" if len(weights) == len(processes) else f", of {len(weights)} of {len(processes)} processes"
    return [
        _one(f"{count} sessions started, {_AT_A_TIME} at a time", "s", started),
        Measure("density", "one start among them", "ms", starts),
        _one(f"memory (PSS) of {count} sessions{hidden}", "MiB", sum(weights)),
        _one("memory (PSS) a session", "MiB", sum(weights) / count),
        _one("processes a session", "", len(processes) / count),
        _one("server before", "MiB", before),
        _one(f"server with {count} sessions", "MiB", after),
        Measure("density", f"all {len(answers)} answer once more", "ms", answers),
    ]


def _one(what: str, unit: str, value: float) -> Measure:
    return Measure("density", what, unit, [value])


def _ask_all(inn: Inn, agent: Deployed, sessions: Sequence[str]) -> list[float]:
    """How long each session took to answer, in ms."""

    def ask(session: str) -> float:
        with inn.connect() as server:
            return server.seconds(through(inn.server, agent.arn, session, _ORDER)) * 1e3

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(ask, sessions))
