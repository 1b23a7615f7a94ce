"""Install scripts of npm packages: they do their work in a sandbox, and no harm with what they give back."""

import json
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.sandbox import Limits, SandboxSpec
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.sandboxes.install_scripts import InstallScripts

pytestmark = pytest.mark.skipif(not Path("/usr/bin/npm").exists(), reason="there is no npm in /usr")

GROUND = SandboxSpec("ground", environment={"PATH": "/usr/bin:/bin"})
WORK = "echo working; id -u > made; ln -s ../../../../etc/passwd out; mkfifo pipe; chmod 4755 made"


def packages(folder: Path, script: str) -> Path:
    """As npm leaves them: one, whose script is to be run."""
    module = {"name": "one", "version": "1.0.0", "scripts": {"postinstall": script}}
    top = {"name": "top", "dependencies": {"one": "1.0.0"}}
    for path, content in (("node_modules/one", module), (".", top)):
        (folder / path).mkdir(parents=True, exist_ok=True)
        (folder / path / "package.json").write_text(json.dumps(content))
    entry = {"version": "1.0.0", "hasInstallScript": True}
    lock = {"lockfileVersion": 3, "packages": {"": top, "node_modules/one": entry}}
    (folder / "package-lock.json").write_text(json.dumps(lock))
    return folder


async def test_their_work_is_kept(tmp_path: Path) -> None:
    driver = BubblewrapDriver(tmp_path / "driver")
    scripts = InstallScripts(driver, Limits(memory_mib=1024), True, 10_000_000, 100.0)
    folder = packages(tmp_path / "content", WORK)
    try:
        notes = await scripts.run(GROUND, "none", folder)
        assert "working" in notes
        made = folder / "node_modules/one/made"
        assert made.read_text().strip() != "0"
        assert made.stat().st_mode & 0o7777 == 0o755
        assert (folder / "node_modules/one/out").is_symlink()  # it leads where a sandbox sees it lead
        assert not (folder / "node_modules/one/pipe").exists()
        with pytest.raises(BuildFailed, match="no luck"):
            await scripts.run(GROUND, "none", packages(tmp_path / "failing", "echo no luck >&2; exit 3"))
        with pytest.raises(BuildFailed, match="larger than 10000000 bytes"):
            flood = packages(tmp_path / "flood", "head -c 20000000 /dev/zero > flood")
            await scripts.run(GROUND, "none", flood)
        with pytest.raises(BuildFailed, match="share the kernel"):
            strict = InstallScripts(driver, Limits(), False, 10_000_000, 100.0)
            await strict.run(GROUND, "none", folder)
        assert not list(tmp_path.glob("*.tar"))
    finally:
        await driver.close()
