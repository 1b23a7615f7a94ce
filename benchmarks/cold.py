"""Cold starts: the first answer of a new session, and that of the same process started bare."""

from collections.abc import Sequence
from pathlib import Path

from tests.running import new_session

from benchmarks import bare
from benchmarks.client import direct, through
from benchmarks.inn import BEHAVING, HELLO, Inn
from benchmarks.measure import Measure
from benchmarks.rounds import alternate

_ROUNDS = 20
_AIM = "ratio <= 1.5"
_ORDER = {"prompt": "Hello"}
# The SDK's server takes its port from the program.
_HELLO_ON_A_PORT = ("-c", "import main, os; main.app.run(port=int(os.environ['PORT']))")


def measure(inn: Inn) -> list[Measure]:
    return [
        _agent(inn, "standard library agent", BEHAVING, ("main.py",)),
        _agent(inn, "SDK agent", HELLO, _HELLO_ON_A_PORT),
    ]


def _agent(inn: Inn, what: str, program: Path, bare_arguments: Sequence[str]) -> Measure:
    agent = inn.deploy(program)

    def ours() -> float:
        session = new_session()
        request = through(inn.server, agent.arn, session, _ORDER)
        with inn.connect() as server:
            seconds = server.seconds(request)
        inn.agents.data.stop_runtime_session(agentRuntimeArn=agent.arn, runtimeSessionId=session)
        return seconds * 1e3

    def theirs() -> float:
        return bare.seconds_to_first_answer(agent.code, bare_arguments, direct(_ORDER)) * 1e3

    samples = alternate(ours, theirs, inn.rounds(_ROUNDS))
    return Measure("cold", what, "ms", samples[0], "bare process", samples[1], _AIM)
