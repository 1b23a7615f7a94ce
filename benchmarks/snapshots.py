"""Snapshots of a process that has loaded pandas, and what goes on from them, beside runsc by itself."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import spares
from benchmarks.inn import Inn
from benchmarks.measure import Measure
from innkeeper.engines.sandbox import rootfs
from innkeeper.engines.sandbox.gvisor import bundle, runsc
from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver, missing
from innkeeper.engines.sandbox.sandbox import Command, Mount, Process, SandboxSpec

_ROUNDS = 20
_PACKAGES = "/opt/packages"
_KERNEL = "import pandas\nfor line in iter(input, ''): print(eval(line), flush=True)"
_SETTLE_SECONDS = 1.0
_SPARES = 2
_Timed = Callable[[], Awaitable[float]]


def measure(inn: Inn) -> list[Measure]:
    if problems := missing():
        print(f"snapshots: left out: {'; '.join(problems)}", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-") as folder:
        return asyncio.run(_measure(Path(folder), inn.rounds(_ROUNDS)))


async def _measure(folder: Path, rounds: int) -> list[Measure]:
    packages = folder / "packages"
    await asyncio.to_thread(_install, packages)
    spec = SandboxSpec("bench", [Mount(packages, _PACKAGES)], {"PYTHONPATH": _PACKAGES})
    driver = GvisorDriver(folder / "state")
    try:
        ours = _Ours(driver, folder, spec)
        await ours.begin()
        raw = await asyncio.to_thread(_Raw, folder, spec, folder / "state" / "etc")
        taken = await _in_turns(ours.snapshot, raw.checkpoint, rounds)
        first = [await ours.first() for _ in range(rounds)]
        bare = await _in_turns(ours.restore, raw.restore, rounds)
        driver.spares = _SPARES
        await ours.restore()
        spare = await _in_turns(ours.restore_into_a_spare, raw.restore_into_a_spare, rounds)
        fork = await _in_turns(ours.fork, raw.fork, rounds)
        raw.end()
    finally:
        await driver.close()
    return [
        Measure("snapshots", "snapshot, with checksums", "ms", taken[0], "runsc", taken[1], "<= 250"),
        Measure("snapshots", "fork to first child's answer", "ms", fork[0], "runsc", fork[1], "<= 350"),
        Measure("snapshots", "next child, a spare ready", "ms", spare[0], "runsc", spare[1], "<= 100"),
        Measure("snapshots", "next child, none ready", "ms", bare[0], "runsc", bare[1]),
        Measure("snapshots", "restore by another server", "ms", first, "runsc", bare[1], "<= 350"),
    ]


def _install(packages: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    for_inside = [f"--target={packages}", f"--python={rootfs.interpreter()}"]
    subprocess.run([uv, "pip", "install", "--quiet", *for_inside, "pandas"], check=True)


async def _in_turns(ours: _Timed, theirs: _Timed, rounds: int) -> tuple[list[float], list[float]]:
    pairs = [(await ours(), await theirs()) for _ in range(rounds + 1)][1:]
    return [first for first, _ in pairs], [second for _, second in pairs]


class _Ours:
    def __init__(self, driver: GvisorDriver, folder: Path, spec: SandboxSpec) -> None:
        self._driver = driver
        self._folder = folder
        self._spec = spec
        self._numbers = itertools.count()

    async def begin(self) -> None:
        self._sandbox = await self._driver.create(self._spec)
        self._process = await self._sandbox.exec(Command(["python3", "-c", _KERNEL]))
        await _asked(self._process)
        await self.snapshot()

    async def snapshot(self) -> float:
        self._latest = self._folder / f"moment-{next(self._numbers)}"
        began = time.perf_counter()
        await self._sandbox.snapshot(self._latest)
        return (time.perf_counter() - began) * 1e3

    async def first(self) -> float:
        """By a driver that has not seen the snapshot yet, and so verifies it."""
        driver = GvisorDriver(self._folder / f"state-{next(self._numbers)}")
        try:
            return await self._restored(driver)
        finally:
            await driver.close()

    async def restore(self) -> float:
        return await self._restored(self._driver)

    async def restore_into_a_spare(self) -> float:
        await spares.ready(self._folder / "state", _SPARES)
        return await self.restore()

    async def fork(self) -> float:
        """With its snapshot, which nobody keeps, and with no spare at hand: one is made meanwhile."""
        await asyncio.sleep(_SETTLE_SECONDS)
        number = next(self._numbers)
        packages = self._folder / f"packages-{number}"  # of another kind than all before
        packages.symlink_to(self._folder / "packages")
        spec = replace(self._named(), mounts=[Mount(packages, _PACKAGES)])
        began = time.perf_counter()
        self._driver.expect(spec)
        moment = self._folder / f"moment-{number}"
        await self._sandbox.snapshot(moment, durable=False)
        return await self._answered(self._driver, moment, spec, began)

    async def _restored(self, driver: GvisorDriver) -> float:
        return await self._answered(driver, self._latest, self._named(), time.perf_counter())

    async def _answered(self, driver: GvisorDriver, moment: Path, spec: SandboxSpec, began: float) -> float:
        sandbox = await driver.restore(moment, spec)
        await _asked(sandbox.process(self._process.id))
        elapsed = (time.perf_counter() - began) * 1e3
        await sandbox.kill()
        return elapsed

    def _named(self) -> SandboxSpec:
        return replace(self._spec, id=f"bench-{next(self._numbers)}")


async def _asked(process: Process) -> None:
    process.stdin.write(b"1 + 1\n")
    await process.stdout.readline()


class _Raw:
    """The same process in the same kind of bundle, by runsc(1) alone over its pipes: nothing is checked."""

    def __init__(self, folder: Path, spec: SandboxSpec, etc: Path) -> None:
        self._folder = folder
        self._spec = spec
        self._etc = etc
        self._numbers = itertools.count()
        self._first = self._started("run")
        self._image = folder
        _answered(self._first)

    def end(self) -> None:
        _end(self._first)

    async def checkpoint(self) -> float:
        began = time.perf_counter()
        self._image = self._folder / f"raw-image-{next(self._numbers)}"
        words = (
            "checkpoint",
            "--leave-running",
            "--compression=none",
            f"--image-path={self._image}",
            "raw-0",
        )
        await asyncio.to_thread(subprocess.run, runsc.command(self._state, "none", *words), check=True)
        return (time.perf_counter() - began) * 1e3

    async def restore(self) -> float:
        return await asyncio.to_thread(self._restore)

    async def restore_into_a_spare(self) -> float:
        return await asyncio.to_thread(self._restore_into_a_spare)

    async def fork(self) -> float:
        return await self.checkpoint() + await self.restore()

    def _restore(self) -> float:
        began = time.perf_counter()
        restored = self._started("restore", f"--image-path={self._image}")
        _answered(restored)
        elapsed = (time.perf_counter() - began) * 1e3
        _end(restored)
        return elapsed

    def _restore_into_a_spare(self) -> float:
        pid_file = self._folder / "raw.pid"
        spare = self._started("create", f"--pid-file={pid_file}")
        spare.wait()
        began = time.perf_counter()
        name = f"raw-{self._last}"
        words = (
            "restore",
            "--detach",
            f"--image-path={self._image}",
            f"--bundle={self._folder / name}",
            name,
        )
        subprocess.run(runsc.command(self._state, "none", *words), check=True)
        _answered(spare)
        elapsed = (time.perf_counter() - began) * 1e3
        with spare:
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
        return elapsed

    @property
    def _state(self) -> Path:
        return self._folder / "raw-state"

    def _started(self, *words: str) -> "subprocess.Popen[bytes]":
        self._last = next(self._numbers)
        name = f"raw-{self._last}"
        folder = self._folder / name
        bundle.write(folder, self._spec, self._etc, None)
        document = json.loads((folder / "config.json").read_text())
        document["process"]["args"] = [str(rootfs.interpreter()), "-c", _KERNEL]
        document["process"]["env"].append(f"PYTHONPATH={_PACKAGES}")
        (folder / "config.json").write_text(json.dumps(document))
        command = runsc.command(self._state, "none", *words, f"--bundle={folder}", name)
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _answered(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin and process.stdout
    process.stdin.write(b"1 + 1\n")
    process.stdin.flush()
    process.stdout.readline()


def _end(process: "subprocess.Popen[bytes]") -> None:
    with process:
        process.kill()
