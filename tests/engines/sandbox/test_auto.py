"""The auto driver takes the stronger wall where there is one, and cleans up after either."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.auto import AutoDriver
from innkeeper.engines.sandbox.contract_room import room, shell
from innkeeper.engines.sandbox.gvisor.driver import missing
from innkeeper.engines.sandbox.records import ProcessMark, Record, Records
from innkeeper.engines.sandbox.sandbox import Isolation


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[AutoDriver]:
    driver = AutoDriver(tmp_path)
    yield driver
    await driver.close()


@pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "gvisor can be used here")
async def test_where_gvisor_can_be_used_it_is(driver: AutoDriver) -> None:
    assert driver.name == "auto"
    async with room(driver) as sandbox:
        assert (await shell(sandbox, "uname -r")).text != os.uname().release
    found = await driver.probe()
    assert (driver.name, found.isolation) == ("gvisor", Isolation.USER_KERNEL)
    assert found.wall.startswith("each has a kernel of its own")


async def test_where_it_cannot_bubblewrap_is_and_says_why(
    driver: AutoDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    cure = "no sandboxes: `scripts/packages runsc` installs runsc of gVisor"
    monkeypatch.setattr("innkeeper.engines.sandbox.gvisor.driver.missing", lambda: [cure])
    async with room(driver) as sandbox:
        assert (await shell(sandbox, "uname -r")).text == os.uname().release
    found = await driver.probe()
    assert (driver.name, found.isolation) == ("bubblewrap", Isolation.KERNEL_SHARED)
    assert found.wall.startswith(f"namespaces on the host's kernel; no gvisor: {cure}")


async def test_what_either_left_is_reaped(driver: AutoDriver, tmp_path: Path) -> None:
    gone = ProcessMark(os.getpid(), 1)
    Records(tmp_path / "sandboxes").claim(Record("by-bubblewrap", gone))
    Records(tmp_path / "gvisor/sandboxes").claim(Record("by-gvisor", gone))
    assert await driver.reap() == ["by-gvisor", "by-bubblewrap"]
    assert await driver.reap() == []
