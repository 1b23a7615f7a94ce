"""The contract of limits and metering."""

# ruff: noqa: S108 (these paths are those of a sandbox)

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, python, room, shell
from innkeeper.engines.sandbox.sandbox import Command, Limits, SandboxDriver, SandboxError, SandboxGone

_BURN = "while True: pass"
_WORK = "x = bytearray(80 << 20)\nimport time\nwhile time.process_time() < 0.3: pass"
_HOLD = "import time; x = bytearray(b'x') * (600 << 20); print('held', flush=True); time.sleep(1000)"
_FORK = """
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        count += 1
except OSError:
    pass
print(count, flush=True)
os.killpg(0, 9)
"""


async def _enforced(driver: SandboxDriver) -> None:
    capabilities = await driver.probe()
    if not capabilities.enforces_limits:
        pytest.skip("no limits here: " + "; ".join(capabilities.problems))


async def _measured(driver: SandboxDriver) -> bool:
    return (await driver.probe()).measures_usage


class LimitContract:
    async def test_too_much_memory_ends_the_process_and_not_the_host(self, driver: SandboxDriver) -> None:
        await _enforced(driver)
        async with room(driver, limits=Limits(memory_mib=96)) as sandbox:
            try:
                outcome = await python(sandbox, "x = bytearray(300 << 20); print(len(x))")
            except SandboxGone:
                return
            assert outcome.code == -9
            assert outcome.text == ""

    async def test_limits_can_be_changed_while_it_runs(self, driver: SandboxDriver) -> None:
        await _enforced(driver)
        limits = Limits(memory_mib=96, scratch_mib=8)
        async with room(driver, limits=limits) as sandbox:
            await sandbox.set_limits(replace(limits, memory_mib=1024))
            used = await python(sandbox, "x = bytearray(300 << 20); print(len(x))")
            assert used.text == str(300 << 20)
            with pytest.raises(SandboxError, match="only cpu_cores and memory_mib"):
                await sandbox.set_limits(replace(limits, scratch_mib=16))
            holding = await sandbox.exec(Command(["python3", "-c", _HOLD]))
            await heard(holding.stdout, b"held")
            with pytest.raises(SandboxError, match="96 MiB"):
                await sandbox.set_limits(limits)
            assert (await shell(sandbox, "echo as before")).text == "as before"
            holding.close()

    async def test_scratch_space_counts_and_is_bounded(self, driver: SandboxDriver) -> None:
        async with room(driver, limits=Limits(scratch_mib=8)) as sandbox:
            for folder in ("/tmp", "/home/agent", "/dev/shm"):
                assert (await shell(sandbox, f"head -c 9000000 /dev/zero > {folder}/big")).code != 0

    async def test_a_fork_bomb_stays_within_its_number(self, driver: SandboxDriver) -> None:
        await _enforced(driver)
        async with room(driver, limits=Limits(processes=40)) as sandbox:
            outcome = await python(sandbox, _FORK)
            assert 30 <= int(outcome.text) <= 40

    async def test_when_no_process_is_left_a_start_says_so(self, driver: SandboxDriver) -> None:
        await _enforced(driver)
        async with room(driver, limits=Limits(processes=1)) as sandbox, room(driver) as other:
            with pytest.raises(SandboxError, match="unavailable"), contextlib.ExitStack() as stack:
                for _ in range(3):
                    stack.callback((await sandbox.exec(Command(["sleep", "1000"]))).close)
            assert (await shell(other, "echo fine")).text == "fine"

    async def test_the_processor_quota_holds(self, driver: SandboxDriver) -> None:
        """Judged by the host's meter: a sandbox with a kernel of its own may count waiting as work."""
        await _enforced(driver)
        async with room(driver, limits=Limits(cpu_cores=0.2)) as sandbox:
            burning = await sandbox.exec(Command(["python3", "-c", _BURN]))
            before, begun = (await sandbox.usage()).cpu_seconds, time.monotonic()
            await asyncio.sleep(5)
            used, elapsed = (await sandbox.usage()).cpu_seconds - before, time.monotonic() - begun
            burning.close()
            assert 0 < used <= 0.2 * elapsed * 1.25

    async def test_open_files_are_limited(self, driver: SandboxDriver) -> None:
        async with room(driver, limits=Limits(open_files=64)) as sandbox:
            outcome = await python(sandbox, "files = [open('/dev/null') for _ in range(100)]")
            assert b"Too many open files" in outcome.err

    async def test_usage_grows_with_work_and_is_known_afterwards(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            before = await sandbox.usage()
            if not await _measured(driver):
                assert before.measured is False
                return
            # Its own clock may count waiting as work: it works until the host's meter has seen enough.
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await sandbox.usage()).cpu_seconds < before.cpu_seconds + 0.3:
                    await python(sandbox, _WORK)
            sleeper = await sandbox.exec(Command(["sleep", "1000"]))
            after = await sandbox.usage()
            assert after.measured
            assert after.cpu_seconds >= before.cpu_seconds + 0.3
            assert after.memory_peak_mib >= 80
            assert 0 < after.memory_mib <= after.memory_peak_mib
            assert after.processes == 1
            sleeper.close()
            await sandbox.kill()
            assert (await sandbox.usage()).cpu_seconds >= after.cpu_seconds
