"""The `npm` program (https://docs.npmjs.com/cli): installs packages for Node.js."""

import json
from collections.abc import Sequence
from pathlib import Path

from innkeeper.services.builder.layers import Filled
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.builder.program import reaching_out, run
from innkeeper.services.builder.thread import in_thread

MODULES = "node_modules"
_NO_PROGRAM = 127


class Npm:
    """Its cache is kept warm across builds; its registry is the one that this server's npm is set to.

    None of a package's code runs: scripts that packages would run when they are installed are left out.
    """

    def __init__(self, cache: Path, timeout_seconds: float) -> None:
        self._cache = cache
        self._timeout_seconds = timeout_seconds

    async def install(self, packages: Sequence[str], folder: Path) -> Filled:
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
        return await in_thread(_read_lock, folder / "package-lock.json")

    def _environment(self) -> dict[str, str]:
        passed = reaching_out(("npm_config_", "NPM_CONFIG_"))
        return {**passed, "npm_config_cache": str(self._cache), "NO_COLOR": "1"}


def _read_lock(path: Path) -> Filled:
    """What package-lock.json says: https://docs.npmjs.com/cli/configuring-npm/package-lock-json."""
    entries = json.loads(path.read_text("utf-8"))["packages"]
    installed = {place.removeprefix(f"{MODULES}/"): entry for place, entry in entries.items() if place}
    resolved = {
        name: " ".join(filter(None, (entry.get("version", ""), entry.get("integrity", ""))))
        for name, entry in installed.items()
        if (path.parent / MODULES / name).exists()  # not those for other platforms
    }
    left_out = [name for name in resolved if installed[name].get("hasInstallScript")]
    notes = [f"install scripts of npm packages were not run: {', '.join(left_out)}"] if left_out else []
    return Filled(resolved, notes)
