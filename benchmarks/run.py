"""`make bench`: measures Innkeeper beside what it is compared with, in the same run, and prints one table.

python -m benchmarks.run [NAME...] [--quick] [--json]
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version

from benchmarks import codec, cold, density, interpreter, invoke, memory, sleepers, snapshots, stream, zygote
from benchmarks.inn import Inn, opened
from benchmarks.measure import Measure, table

BENCHMARKS: dict[str, Callable[[Inn], list[Measure]]] = {
    "invoke": invoke.measure,
    "stream": stream.measure,
    "codec": codec.measure,
    "cold": cold.measure,
    "density": density.measure,
    "sleepers": sleepers.measure,
    "snapshots": snapshots.measure,
    "interpreter": interpreter.measure,
    "zygote": zygote.measure,
    "memory": memory.measure,
}
# Code of strangers is measured behind the wall that it gets; agents, where a sandbox costs least.
_SETTINGS = {
    "interpreter": {"sandbox_driver": "auto"},
    "sleepers": {"sandbox_driver": "gvisor", "sandbox_spares": "0"},
}


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    machine = _machine()
    measures: list[Measure] = []
    for name in options.names or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        with opened(options.quick, _SETTINGS.get(name, {})) as inn:
            measures += BENCHMARKS[name](inn)
    if options.json:
        print(json.dumps({"machine": machine, "measures": [one.document() for one in measures]}, indent=2))
    else:
        print(f"{machine}\n\n{table(measures)}")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Innkeeper beside what it is compared with.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of " + ", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    if unknown := set(options.names).difference(BENCHMARKS):
        parser.error(
            f"no benchmark is called {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}"
        )
    return options


def _machine() -> str:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"Innkeeper {version('innkeeper')} on Python {platform.python_version()}, {platform.system()} "
        f"{platform.release()}; {os.cpu_count()} cores, load {load} (1, 5, 15 minutes) at the start"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
