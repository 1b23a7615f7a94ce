"""The `npm` program (https://docs.npmjs.com/cli): installs packages for Node.js."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from innkeeper.services.builder.folder import make_readable
from innkeeper.services.builder.layers import Filled
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.builder.program import reaching_out, run
from innkeeper.services.builder.thread import in_thread

MODULES = "node_modules"
_NO_PROGRAM = 127

Scripts = Callable[[Path], Awaitable[Sequence[str]]]
"""Runs the install scripts of the packages in a folder, somewhere safe; what to tell. Raises BuildFailed."""


class Npm:
    """Its cache is kept warm across builds; its registry is the one that this server's npm is set to.

    None of a package's code runs here: scripts that packages would run when they are installed are left out,
    or left to `Scripts`.
    """

    def __init__(self, cache: Path, timeout_seconds: float) -> None:
        self._cache = cache
        self._timeout_seconds = timeout_seconds

    async def install(self, packages: Sequence[str], scripts: Scripts | None, folder: Path) -> Filled:
        """Into its `node_modules`. Raises BuildFailed with npm's own reason."""
        argv = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        argv += ["--loglevel=error", "--prefix", str(folder), "--", *packages]
        outcome = await run(
            argv, environment=self._environment(), timeout_seconds=self._timeout_seconds, folder=folder
        )
        if outcome.code == _NO_PROGRAM:
            raise BuildFailed("npm is not installed on this server; put npm on its PATH")
        if outcome.code != 0:
            raise BuildFailed(f"installing the npm packages failed:\n{outcome.ending}")
        resolved, scripted = await in_thread(_read_lock, folder / "package-lock.json")
        if not scripted:
            return Filled(resolved)
        if scripts is None:
            left_out = ", ".join(scripted)
            return Filled(resolved, [f"install scripts of npm packages were not run: {left_out}"])
        await in_thread(make_readable, folder)
        return Filled(resolved, [*await scripts(folder)])

    def _environment(self) -> dict[str, str]:
        passed = reaching_out(("npm_config_", "NPM_CONFIG_"))
        return {**passed, "npm_config_cache": str(self._cache), "NO_COLOR": "1"}


def _read_lock(path: Path) -> tuple[dict[str, str], list[str]]:
    """The packages, and those that have scripts.
    https://docs.npmjs.com/cli/configuring-npm/package-lock-json"""
    entries = json.loads(path.read_text("utf-8"))["packages"]
    installed = {place.removeprefix(f"{MODULES}/"): entry for place, entry in entries.items() if place}
    resolved = {
        name: " ".join(filter(None, (entry.get("version", ""), entry.get("integrity", ""))))
        for name, entry in installed.items()
        if (path.parent / MODULES / name).exists()  # not those for other platforms
    }
    return resolved, [name for name in resolved if installed[name].get("hasInstallScript")]
