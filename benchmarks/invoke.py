"""Warm calls: through Innkeeper, and on the agent's own port."""

from tests.running import new_session

from benchmarks import bare
from benchmarks.client import direct, through
from benchmarks.inn import BEHAVING, Inn
from benchmarks.measure import Measure
from benchmarks.rounds import alternate

_ROUNDS = 1000
_WARM_UP = 50
_ORDER = {"do": "echo", "prompt": "Hello, how are you?"}


def measure(inn: Inn) -> list[Measure]:
    agent, session = inn.deploy(BEHAVING), new_session()
    with inn.connect() as server, bare.agent(agent.code) as port:
        ours, theirs = alternate(
            lambda: server.seconds(through(inn.server, agent.arn, session, _ORDER)) * 1e3,
            lambda: port.seconds(direct(_ORDER)) * 1e3,
            inn.rounds(_ROUNDS),
            _WARM_UP,
        )
    return [Measure("invoke", "warm call", "ms", ours, "agent's port", theirs, "added <= 2")]
