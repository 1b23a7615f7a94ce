"""A sandbox whose guest agent hangs ends by itself; one that is paused, or only slow, does not."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from innkeeper.engines.sandbox import health
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.sandbox import SandboxSpec
from tests.stories.processes import below


async def test_one_that_hangs_is_ended_and_one_that_pauses_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.5)
    driver = BubblewrapDriver(tmp_path)
    try:
        paused = await driver.create(SandboxSpec("paused"))
        await paused.pause()
        before = {one.pid for one in below(os.getpid())}
        hanging = await driver.create(SandboxSpec("hanging"))
        for process in below(os.getpid()):
            if process.pid not in before:
                os.kill(process.pid, signal.SIGSTOP)
        async with asyncio.timeout(60):
            await hanging.closed()
        await paused.resume()
        assert await paused.read_file("/etc/hostname") is not None
    finally:
        await driver.close()
