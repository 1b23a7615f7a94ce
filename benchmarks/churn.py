"""Sessions of many tenants come and go for minutes; prints what the server held before, meanwhile and after.

python -m benchmarks.churn [--minutes 10] [--driver gvisor] [--tenants 24]

The exit code is 1 when anything that was used is not given back.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.running import RunningServer
from tests.stories.holdings import Holdings, at_rest, back_to, empty_cgroups, forgotten_cgroups, memory_mib
from tests.stories.tenants import SETTINGS, live, move_in

_SETTLE_SECONDS = 120.0
_WARM_UP_SESSIONS = 3


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    groups = empty_cgroups()
    with tempfile.TemporaryDirectory(prefix="innkeeper-churn-") as folder:
        server = RunningServer(Path(folder), {**SETTINGS, "sandbox_driver": options.driver}).start()
        try:
            left = _churn(server, options.tenants, options.minutes * 60)
        finally:
            server.stop()
    orphans = forgotten_cgroups(groups, _SETTLE_SECONDS)
    print(f"cgroups left: {len(orphans)}; left beyond the start: {left or 'nothing'}")
    return 1 if left or orphans else 0


def _churn(server: RunningServer, count: int, seconds: float) -> dict[str, int]:
    tenants = move_in(server, count)
    live(tenants, range(_WARM_UP_SESSIONS))
    before = at_rest(server, _SETTLE_SECONDS)
    _tell("before", 0, 0.0, server)
    began, rounds = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        live(tenants, range(rounds, rounds + 1))
        rounds += 1
        _tell(f"round {rounds}", rounds * count, time.monotonic() - began, server)
    left = back_to(server, before, _SETTLE_SECONDS)
    _tell("after", rounds * count, time.monotonic() - began, server)
    return left


def _tell(when: str, sessions: int, seconds: float, server: RunningServer) -> None:
    held = ", ".join(f"{name} {number}" for name, number in asdict(Holdings.of(server)).items())
    memory = f"server {memory_mib(server):.1f} MiB"
    print(f"{when}: {sessions} sessions in {seconds:.0f} s; {held}, {memory}", flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Churn sessions and look for what is not given back.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--driver", default="auto")
    parser.add_argument("--tenants", type=int, default=24)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
