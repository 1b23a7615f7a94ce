"""Bare sentries are kept ready for restores, go with their driver, and are found after a crash."""

import asyncio
import os
import secrets
import sys
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_internet import tried
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, room, shell
from innkeeper.engines.sandbox.gvisor import control, spares
from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver, missing
from innkeeper.engines.sandbox.gvisor.room import GvisorRoom
from innkeeper.engines.sandbox.sandbox import Command, Limits, Mount, Network, SandboxError, SandboxSpec
from tests.content import content
from tests.engines.sandbox.test_gvisor import marks_of, vanished

pytestmark = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "it can be used here")

RUN = secrets.token_hex(4)
"""Of names that must be this machine's only ones."""
SERVER = """
import asyncio, sys
from pathlib import Path
from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver
from innkeeper.engines.sandbox.sandbox import SandboxSpec

async def serve():
    state, folder, RUN = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    driver = GvisorDriver(state)
    driver.spares = 1
    again = sys.argv[4] == "again"
    await (await driver.create(SandboxSpec(f"first-{RUN}"))).snapshot(folder)
    await driver.restore(folder, SandboxSpec(f"second-{RUN}"), again=again)
    while not list(state.glob("bundles/spare-*/pid")):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    await driver.restore(folder, SandboxSpec(f"third-{RUN}"), again=again)
    print("ready", flush=True)
    await asyncio.sleep(1000)

asyncio.run(serve())
"""


async def ready(state_dir: Path, count: int) -> list[Path]:
    """The bundles of so many spares, once their sentries are there."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            waiting = [path.parent for path in state_dir.glob("bundles/spare-*/pid")]
            noted = [path for path in state_dir.glob("sandboxes/spare-*.json") if b"pid" in content(path)]
            if len(waiting) >= count <= len(noted):
                return waiting
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("builds", [control.BUILDS, frozenset()], ids=["known", "unknown"])
async def test_what_is_restored_into_a_spare_is_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builds: frozenset[str]
) -> None:
    """Sentries of known builds are told directly what to do, others by runsc."""
    monkeypatch.setattr(control, "BUILDS", builds)
    state_dir = tmp_path / "state"
    driver = GvisorDriver(state_dir)
    driver.spares = 1
    network = max((await driver.probe()).networks)
    async with room(driver, network=network) as sandbox:
        shouting = await sandbox.exec(Command(["sh", "-c", "read x; echo $x $x; read y; echo $y"]))
        await sandbox.snapshot(tmp_path / "moment")
    await (await driver.restore(tmp_path / "moment", SandboxSpec(f"first-{RUN}", network=network))).kill()
    (bundle,) = await ready(state_dir, 1)
    spec = SandboxSpec(f"second-{RUN}", (), {"NAME": "second"}, Limits(memory_mib=512), network)
    second = await driver.restore(tmp_path / "moment", spec)
    assert isinstance(second, GvisorRoom)
    assert bundle.exists()
    assert second.id == f"second-{RUN}"
    (sentry,) = marks_of(state_dir, second.id)[:1]
    opened = [str(file.readlink()) for file in Path(f"/proc/{sentry.pid}/fd").iterdir()]
    assert any("runsc-memory" in name for name in opened) == (not builds)  # its own, or what was lent
    process = second.process(shouting.id)
    process.stdin.write(b"a\n")
    assert await heard(process.stdout, b"\n") == b"a a\n"
    assert (await shell(second, "echo $NAME")).text == "second"
    if network is not Network.NONE:
        assert await tried(second, ("169.254.169.254", 80)) == ["ConnectionRefusedError"]  # by its router
    with pytest.raises(SandboxError, match="exists already"):
        await driver.restore(tmp_path / "moment", spec)
    await second.snapshot(tmp_path / "later", keep_running=False)
    assert not bundle.exists()
    third = await driver.restore(tmp_path / "later", SandboxSpec(f"third-{RUN}", network=network))
    process = third.process(shouting.id)
    process.stdin.write(b"b\n")
    assert await heard(process.stdout, b"\n") == b"b\n"
    assert await process.wait() == 0
    await driver.close()
    assert [path for part in ("sandboxes", "bundles") for path in (state_dir / part).iterdir()] == []


async def test_what_is_expected_is_made_meanwhile_and_what_is_so_no_more_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spares, "_KINDS", 1)
    state_dir = tmp_path / "state"
    driver = GvisorDriver(state_dir)
    driver.spares = 1
    async with room(driver) as sandbox:
        driver.expect(SandboxSpec(f"expected-{RUN}"))
        await sandbox.snapshot(tmp_path / "moment", durable=False)
        restored = await driver.restore(tmp_path / "moment", SandboxSpec(f"expected-{RUN}"))
    await restored.write_file("note", b"it is at work")
    assert "bundles/spare-" in (state_dir / f"sandboxes/expected-{RUN}.json").read_text()
    await ready(state_dir, 1)
    (before,) = state_dir.glob("sandboxes/spare-*.json")
    driver.expect(SandboxSpec(f"other-{RUN}", [Mount(tmp_path, "/mnt/data")]))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while before.exists():  # noqa: ASYNC110 (files tell nobody)
            await asyncio.sleep(0.05)
    await ready(state_dir, 1)
    await driver.close()
    assert [path for part in ("sandboxes", "bundles") for path in (state_dir / part).iterdir()] == []


async def test_what_cannot_be_made_is_in_the_way_of_nothing_else(tmp_path: Path) -> None:
    driver = GvisorDriver(tmp_path / "state")
    driver.spares = 1
    driver.expect(SandboxSpec(f"good-{RUN}"))
    driver.expect(SandboxSpec(f"bad-{RUN}", [Mount(tmp_path / "nowhere", "/mnt/data")]))
    (bundle,) = await ready(tmp_path / "state", 1)
    assert "/mnt/data" not in (bundle / "config.json").read_text()
    await driver.close()


@pytest.mark.parametrize("kind", ["bare", "again"])
async def test_a_server_that_dies_leaves_none_behind(tmp_path: Path, kind: str) -> None:
    """A sentry that was made ahead does not end with the server by itself."""
    state_dir = tmp_path / "state"
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(state_dir), str(tmp_path / "moment"), RUN, kind),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert server.stdout is not None
    await heard(server.stdout, b"ready")
    await ready(state_dir, 1)
    server.kill()
    await server.wait()
    later = GvisorDriver(state_dir)
    found = await later.reap()
    assert {f"first-{RUN}", f"second-{RUN}", f"third-{RUN}"} < set(found)
    assert any(each.startswith("spare-") for each in found)
    await vanished(state_dir)
    assert [path for part in ("sandboxes", "bundles") for path in (state_dir / part).iterdir()] == []
