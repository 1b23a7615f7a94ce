"""The `uv` program (https://docs.astral.sh/uv/): installs packages for other interpreters than ours."""

from pathlib import Path

from uv import find_uv_bin

from innkeeper.services.builder.interpreters import Interpreter
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.builder.program import reaching_out, run


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
            raise BuildFailed(f"installing the packages failed:\n{outcome.ending}")

    def _environment(self) -> dict[str, str]:
        ours = {"UV_CACHE_DIR": str(self._cache), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
        return {**reaching_out(("UV_",)), **ours, "NO_COLOR": "1"}
