"""Sessions of the code interpreter where there are no snapshots: from a zygote, and without one."""

import asyncio
import subprocess
import time
from pathlib import Path

from benchmarks.inn import Inn
from benchmarks.interpreter import rules, to_first_answer
from benchmarks.measure import Measure
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.sandbox import Network, Relay, SandboxSpec
from innkeeper.services.builder.dependencies import PACKAGES_FOLDER
from innkeeper.services.builder.interpreters import Interpreters
from innkeeper.services.builder.model import BuildLimits
from innkeeper.services.builder.service import Builder
from innkeeper.services.code_interpreter.kernels import Cell
from innkeeper.services.code_interpreter.rooms import Reach, Rooms
from innkeeper.services.code_interpreter.template import Templates
from innkeeper.settings import Settings

_SESSIONS = 30
_READY_SECONDS = 120.0
_LOOK_SECONDS = 0.1
_STOP_SECONDS = 10.0
_CELL = "import pandas; 1 + 1"
_REACH = Reach(Network.NONE)
_HOME = Relay(9, "127.0.0.1", 9)  # for sessions with a role, which these have not
_FORKING = """
import os, sys
import numpy, pandas, matplotlib.pyplot, openpyxl
print("ready", flush=True)
for line in sys.stdin:
    if os.fork() == 0:
        print(eval(line), flush=True)
        os._exit(0)
    os.wait()
"""


def measure(inn: Inn) -> list[Measure]:
    return asyncio.run(_measured(inn))


async def _measured(inn: Inn) -> list[Measure]:
    data: Path = inn.server.data_dir / "zygote"
    driver = BubblewrapDriver(data / "sandboxes")
    builder = Builder(data, BuildLimits(), Interpreters())
    settings = Settings()
    rooms = Rooms(driver, builder, data, rules(settings, ready=0), _HOME)
    try:
        plain = [await to_first_answer(rooms, _CELL) for _ in range(inn.rounds(_SESSIONS))]
        driver.zygotes = settings.sandbox_zygotes
        await _until_hatched(rooms)
        hatched = [await to_first_answer(rooms, _CELL) for _ in range(inn.rounds(_SESSIONS))]
        empty = [await _empty(driver, number) for number in range(inn.rounds(_SESSIONS))]
        bare = await _forks(builder, settings, inn.rounds(_SESSIONS))
    finally:
        await rooms.close()
        await driver.close()
    what = "session from nothing to 1 + 1, pandas loaded, by a zygote"
    return [
        Measure("zygote", what, "ms", hatched, peer, theirs, "tens of ms")
        for peer, theirs in (("without one", plain), ("an empty sandbox", empty), ("a bare fork", bare))
    ]


async def _until_hatched(rooms: Rooms) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            room = await rooms.open(_REACH, {})
            ready = (await room.python.run(Cell("'pandas' in __import__('sys').modules")))["content"]
            await room.close()
            if "True" in ready[0]["text"]:
                return
            await asyncio.sleep(_LOOK_SECONDS)


async def _empty(driver: BubblewrapDriver, number: int) -> float:
    began = time.perf_counter()
    sandbox = await driver.create(SandboxSpec(f"empty-{number}"))
    took = (time.perf_counter() - began) * 1e3
    await sandbox.kill()
    return took


async def _forks(builder: Builder, settings: Settings, count: int) -> list[float]:
    """The same interpreter, with the same modules loaded, and nothing around it."""
    build = await Templates(builder, settings.code_interpreter_packages).python.get()
    return await asyncio.to_thread(_forked, build.launch.argv[0], build.path / PACKAGES_FOLDER, count)


def _forked(python: str, packages: Path, count: int) -> list[float]:
    process = subprocess.Popen(
        [python, "-c", _FORKING],
        env={"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    samples = []
    try:
        process.stdout.readline()
        for _ in range(count):
            began = time.perf_counter()
            process.stdin.write(b"1 + 1\n")
            process.stdin.flush()
            if process.stdout.readline() != b"2\n":
                raise RuntimeError("the bare fork does not answer")
            samples.append((time.perf_counter() - began) * 1e3)
    finally:
        process.kill()
        process.communicate(timeout=_STOP_SECONDS)
    return samples
