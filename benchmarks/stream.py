"""Streams: as fast as the agent makes them, through Innkeeper and on the agent's own port."""

from typing import Any

from tests.running import new_session

from benchmarks import bare
from benchmarks.client import Connection, direct, through
from benchmarks.inn import BEHAVING, Deployed, Inn
from benchmarks.measure import Measure
from benchmarks.rounds import alternate

_ROUNDS = 30
_EVENTS = 5000
_CHUNKS = 500
_CHUNK_BYTES = 65_536


def measure(inn: Inn) -> list[Measure]:
    agent = inn.deploy(BEHAVING)
    events = {"do": "stream", "count": _EVENTS}
    chunks = {"do": "stream", "count": _CHUNKS, "size": _CHUNK_BYTES}
    with inn.connect() as server, bare.agent(agent.code) as port:
        return [
            _stream(inn, agent, server, port, "small events", "1000/s", events, _EVENTS / 1e3),
            _stream(
                inn, agent, server, port, "chunks of 64 KiB", "MB/s", chunks, _CHUNKS * _CHUNK_BYTES / 1e6
            ),
        ]


def _stream(
    inn: Inn,
    agent: Deployed,
    server: Connection,
    port: Connection,
    what: str,
    unit: str,
    order: dict[str, Any],
    amount: float,
) -> Measure:
    session = new_session()
    ours, theirs = alternate(
        lambda: amount / server.seconds(through(inn.server, agent.arn, session, order)),
        lambda: amount / port.seconds(direct(order)),
        inn.rounds(_ROUNDS),
    )
    return Measure("stream", what, unit, ours, "agent's port", theirs, "ratio >= 0.5", rate=True)
