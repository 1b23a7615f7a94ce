"""The `uv` program (https://docs.astral.sh/uv/): installs packages for other interpreters than ours."""

import os
from collections.abc import Sequence
from pathlib import Path

from uv import find_uv_bin

from innkeeper.services.builder.interpreters import Interpreter
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.builder.program import run

# The server's environment holds its secrets: uv gets only what it needs to reach its index.
_PASSED = ("HOME", "PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CONFIG_HOME", "NETRC")
_PASSED_SUFFIXES = ("_PROXY", "_proxy")
_FAILURE_LINES = 20
_FAILURE_CHARACTERS = 2_000


class Uv:
    """Its cache is kept warm across builds.

    Only wheels are installed, which runs none of their code. `source_builds` also allows source packages,
    whose build scripts run on this server with its rights, outside any sandbox: only for trusted developers.
    """

    def __init__(self, cache: Path, timeout_seconds: float, source_builds: bool = False) -> None:
        self._cache = cache
        self._timeout_seconds = timeout_seconds
        self._source_builds = source_builds

    async def install(
        self, requirements: Path, target: Path, interpreter: Interpreter, *, dependencies: bool
    ) -> None:
        """Install what the requirements file lists into a folder. Raises BuildFailed with uv's own reason.

        Runs in the requirements file's folder, never the code's: uv would read settings there.
        """
        argv = [
            find_uv_bin(),
            "pip",
            "install",
            "--quiet",
            "--python",
            str(interpreter.path),
            "--target",
            str(target),
        ]
        argv += ["--requirements", str(requirements)]
        argv += [] if dependencies else ["--no-deps"]
        argv += [] if self._source_builds else ["--no-build"]
        outcome = await run(
            argv,
            environment=self._environment(),
            timeout_seconds=self._timeout_seconds,
            folder=requirements.parent,
        )
        if outcome.code != 0:
            raise BuildFailed(f"installing the packages failed:\n{_ending(outcome.output.splitlines())}")

    def _environment(self) -> dict[str, str]:
        passed = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED or name.startswith("UV_") or name.endswith(_PASSED_SUFFIXES)
        }
        ours = {"UV_CACHE_DIR": str(self._cache), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
        return {**passed, **ours, "NO_COLOR": "1"}


def _ending(lines: Sequence[str]) -> str:
    return "\n".join(lines[-_FAILURE_LINES:])[-_FAILURE_CHARACTERS:]
