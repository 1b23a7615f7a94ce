"""What a benchmark runs on: a server with a fresh data folder, and agents on it."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.running import Agents, RunningServer

from benchmarks.client import Connection

_ROOT = Path(__file__).parents[1]
BEHAVING = _ROOT / "tests" / "agents" / "behaving.py"
HELLO = _ROOT / "examples" / "hello" / "main.py"
_RUNTIME = f"PYTHON_3_{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Deployed:
    """An agent, and the folder of this machine with its prepared code."""

    arn: str
    code: Path


class Inn:
    """`quick` is for a look: fewer rounds."""

    def __init__(self, server: RunningServer, quick: bool) -> None:
        self.server = server
        self.quick = quick

    def rounds(self, count: int) -> int:
        return max(count // 10, 3) if self.quick else count

    @cached_property
    def agents(self) -> Agents:
        return Agents(self.server)

    def connect(self) -> Connection:
        return Connection.to(self.server.url)

    def deploy(self, program: Path) -> Deployed:
        """Deploy a program, with the requirements beside it, on the Python that runs the benchmarks."""
        requirements = program.with_name("requirements.txt")
        files = {"main.py": program.read_text()}
        if requirements.exists():
            files["requirements.txt"] = requirements.read_text()
        entry = {"code": self.agents.upload(files), "runtime": _RUNTIME, "entryPoint": ["main.py"]}
        known = self._builds()
        runtime = self.agents.deploy(agentRuntimeArtifact={"codeConfiguration": entry})
        (code,) = self._builds() - known
        return Deployed(runtime["agentRuntimeArn"], code)

    def _builds(self) -> set[Path]:
        return set((self.server.data_dir / "builds" / "builds").glob("*/code"))


@contextmanager
def opened(quick: bool, settings: Mapping[str, str]) -> Iterator[Inn]:
    """A new server, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-") as folder:
        server = RunningServer(Path(folder), settings).start()
        try:
            yield Inn(server, quick)
        finally:
            server.stop()
