"""The code interpreter: sessions that begin, cells, and sandboxes that wait, each beside its floor."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding, frozen

from benchmarks import bare_runsc, jupyter, spares
from benchmarks.inn import Inn
from benchmarks.measure import Measure
from innkeeper.engines.sandbox.auto import AutoDriver
from innkeeper.engines.sandbox.pool import Bounds
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Limits,
    Network,
    Process,
    Relay,
    Sandbox,
    SandboxDriver,
    SandboxSpec,
)
from innkeeper.services.builder.interpreters import Interpreters
from innkeeper.services.builder.model import BuildLimits
from innkeeper.services.builder.service import Builder
from innkeeper.services.code_interpreter.kernels import Cell
from innkeeper.services.code_interpreter.room import Room
from innkeeper.services.code_interpreter.rooms import Prepare, Reach, Rooms, Rules
from innkeeper.settings import Settings

_SESSIONS = 20
_CELLS = 500
_IN_A_ROW = 10
_PAUSES = 50
_WAITING = 50
_IDLE_SECONDS = 3.0
_READY_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_MEMORY_SHARE = 0.1
_CELL = "1 + 1"
_REACH = Reach(Network.NONE)
_HOME = Relay(9, "127.0.0.1", 9)  # for sessions with a role, which these have not
_FLOOR = "a pipe through it"
_SAME = json.dumps([{"number": number, "text": str(number)} for number in range(20_000)])
_SAME_TIMES = 15


@dataclass
class Samples:
    """In milliseconds."""

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)


def measure(inn: Inn) -> list[Measure]:
    through_boto3 = _through_boto3(inn)  # first: then the packages are there
    return [*asyncio.run(_in_the_engine(inn)), *through_boto3]


async def _in_the_engine(inn: Inn) -> list[Measure]:
    settings = Settings()
    data: Path = inn.server.data_dir
    driver = AutoDriver(data / "benchmark")
    driver.spares = settings.sandbox_spares
    builder = Builder(data / "code-interpreter", BuildLimits(), Interpreters())
    rooms = Rooms(driver, builder, data / "code-interpreter", rules(settings, ready=1), _HOME)
    without_pool = Rooms(driver, builder, data / "code-interpreter", rules(settings, ready=0), _HOME)
    forgetful = _Forgetful(data / "benchmark-bare")
    forgetful.spares = settings.sandbox_spares
    on_bare = Rooms(forgetful, builder, data / "code-interpreter", rules(settings, ready=0), _HOME)
    try:
        begin = await _begin(inn, rooms)
        room = await _room(rooms)
        cells = await _cells(inn, room, driver.name, data / "benchmark-echo")
        pause, resume = await _pauses(inn, room)
        await room.close()
        missed = await _missed(inn, driver, without_pool, on_bare)
        held = await _held(inn, without_pool)
    finally:
        await on_bare.close()
        await forgetful.close()
        await without_pool.close()
        await rooms.close()
        await driver.close()
    return [
        _beside(
            "session from the pool to 1 + 1, pandas loaded", begin, "p50 <= 10, p95 <= 30", "resume alone"
        ),
        *cells,
        Measure("interpreter", "pause", "ms", pause, aim="<= 3"),
        _beside("resume to 1 + 1", resume, "<= 5", "resume to " + _FLOOR),
        *missed,
        *held,
    ]


def _beside(what: str, samples: Samples, aim: str, floor: str) -> Measure:
    return Measure("interpreter", what, "ms", samples.ours, floor, samples.floor, aim)


def rules(settings: Settings, ready: int) -> Rules:
    """Those of a server with these settings, which keeps so many sandboxes ready."""
    return Rules(
        packages=settings.code_interpreter_packages,
        imports=settings.code_interpreter_imports,
        limits=Limits(scratch_mib=settings.code_interpreter_scratch_mib),
        sessions=_WAITING,
        cell_timeout_seconds=settings.code_interpreter_cell_timeout_seconds,
        shared_kernel=True,
        prepare=Prepare.NOTHING,
        pool=Bounds(ready, _MEMORY_SHARE),
    )


async def _begin(inn: Inn, rooms: Rooms) -> Samples:
    samples = Samples()
    for _ in range(inn.rounds(_SESSIONS)):
        rooms.pool.want(_REACH)
        async with asyncio.timeout(_READY_SECONDS):
            while not rooms.pool.shelves()[_REACH].ready:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(_LOOK_SECONDS)
        began = time.perf_counter()
        room = await rooms.open(_REACH, {})
        samples.floor.append((time.perf_counter() - began) * 1e3)
        await room.python.run(Cell(_CELL))
        samples.ours.append((time.perf_counter() - began) * 1e3)
        await room.close()
    return samples


async def _room(rooms: Rooms) -> Room:
    room = await rooms.open(_REACH, {})
    await room.python.run(Cell("import pandas"))
    return room


async def _cells(inn: Inn, room: Room, driver: str, folder: Path) -> list[Measure]:
    """In turns, some of each in a row: cells, lines through the sandbox and back, lines through a bare runsc,
    and cells of Jupyter's."""
    ours, piped, bare, peers = (list[float]() for _ in range(4))
    echo = await room.sandbox.exec(Command(["cat"]))
    with ExitStack() as stack:
        peer = stack.enter_context(jupyter.kernel())
        floor = stack.enter_context(bare_runsc.echo(folder)) if driver == "gvisor" else None
        for _ in range(inn.rounds(_CELLS) // _IN_A_ROW):
            ours += [await _milliseconds(lambda: room.python.run(Cell(_CELL))) for _ in range(_IN_A_ROW)]
            piped += [await _milliseconds(lambda: _echoed(echo)) for _ in range(_IN_A_ROW)]
            if floor:
                bare += [await asyncio.to_thread(floor.milliseconds) for _ in range(_IN_A_ROW)]
            peers += [await asyncio.to_thread(peer.milliseconds, _CELL) for _ in range(_IN_A_ROW)]
    echo.close()
    measures = [
        Measure("interpreter", "a cell", "ms", ours, _FLOOR, piped, "added <= 1"),
        Measure("interpreter", "a cell", "ms", ours, "a pipe through a bare runsc", bare, "added <= 1"),
        Measure("interpreter", "a cell", "ms", ours, "Jupyter kernel, bare", peers, "ratio <= 0.2"),
    ]
    return [measure for measure in measures if measure.theirs]


async def _pauses(inn: Inn, room: Room) -> tuple[list[float], Samples]:
    pause, resume = [], Samples()
    echo = await room.sandbox.exec(Command(["cat"]))

    async def to_cell() -> None:
        await room.sandbox.resume()
        await room.python.run(Cell(_CELL))

    async def to_echo() -> None:
        await room.sandbox.resume()
        await _echoed(echo)

    for _ in range(inn.rounds(_PAUSES)):
        for samples, answer in ((resume.ours, to_cell), (resume.floor, to_echo)):
            pause.append(await _milliseconds(room.sandbox.pause))
            samples.append(await _milliseconds(answer))
    echo.close()
    return pause, resume


class _Forgetful(AutoDriver):
    """Never knows what will be restored again, so that its spares are bare."""

    async def restore(self, folder: Path, spec: SandboxSpec, *, again: bool = False) -> Sandbox:
        return await super().restore(folder, spec)


async def _missed(inn: Inn, driver: SandboxDriver, rooms: Rooms, bare: Rooms) -> list[Measure]:
    """Sessions that find no ready sandbox, but where there are sentries one that has restored all but its
    memory; and beside them some that find a bare sentry. Each ends before the next begins: a virtual machine
    gets the memory that it never used before from its host, which takes many times as long as to use some
    again, and would be measured in its place. How far apart the machine's own times lie for work that is
    always the same says what a p95 is worth on it."""
    samples, on_bare, same = Samples(), list[float](), list[float]()
    copies = (await driver.probe()).can_snapshot
    if copies:
        await to_first_answer(bare)
    for number in range(inn.rounds(_WAITING)):
        if copies:
            for folder in "benchmark", "benchmark-bare":
                await spares.ready(inn.server.data_dir / folder / "gvisor", driver.spares)
            on_bare.append(await to_first_answer(bare))
        samples.ours.append(await to_first_answer(rooms))
        began = time.perf_counter()
        empty = await driver.create(SandboxSpec(f"empty-{number}"))
        samples.floor.append((time.perf_counter() - began) * 1e3)
        await empty.kill()
        same.append(_same_work())
    what = "session that finds none ready, to 1 + 1"
    measures = [
        _beside(what, samples, "p95 <= 150", "an empty sandbox"),
        Measure("interpreter", what, "ms", samples.ours, "on a bare sentry", on_bare),
        Measure("interpreter", what, "ms", samples.ours, "the same work in Python", same),
    ]
    return [measure for measure in measures if measure.theirs]


async def to_first_answer(rooms: Rooms, cell: str = _CELL) -> float:
    """Milliseconds, of a session that ends then."""
    began = time.perf_counter()
    room = await rooms.open(_REACH, {})
    await room.python.run(Cell(cell))
    took = (time.perf_counter() - began) * 1e3
    await room.close()
    return took


def _same_work() -> float:
    """Milliseconds for some work of that length, which needs nobody else."""
    began = time.perf_counter()
    for _ in range(_SAME_TIMES):
        json.loads(_SAME)
    return (time.perf_counter() - began) * 1e3


async def _held(inn: Inn, rooms: Rooms) -> list[Measure]:
    """Sessions that are there at once, all of them paused."""
    held = [await _paused(rooms) for _ in range(inn.rounds(_WAITING))]
    before = await _cpu_seconds(held)
    await asyncio.sleep(_IDLE_SECONDS)
    idle = await _cpu_seconds(held) - before
    memory = [(await room.sandbox.usage()).memory_mib for room in held]
    await asyncio.gather(*(room.close() for room in held))
    return [
        Measure(
            "interpreter", f"processor of {len(held)} paused", "ms/s", [idle * 1e3 / _IDLE_SECONDS], aim="0"
        ),
        Measure("interpreter", "memory of a paused one", "MiB", memory),
    ]


async def _paused(rooms: Rooms) -> Room:
    room = await rooms.open(_REACH, {})
    await room.python.run(Cell(_CELL))
    await room.sandbox.pause()
    return room


async def _cpu_seconds(held: list[Room]) -> float:
    return sum([(await room.sandbox.usage()).cpu_seconds for room in held])


def _through_boto3(inn: Inn) -> list[Measure]:
    """A client is made once and used again, as programs do."""
    server = inn.server
    begin, cells = [], []
    coding = Coding(server)
    for _ in range(inn.rounds(_SESSIONS)):
        coding.stop()
        _until_ready(server)
        began = time.perf_counter()
        coding.start()
        coding.out(_CELL)
        begin.append((time.perf_counter() - began) * 1e3)
    for _ in range(inn.rounds(_CELLS)):
        began = time.perf_counter()
        coding.out(_CELL)
        cells.append((time.perf_counter() - began) * 1e3)
    coding.stop()
    return [
        Measure("interpreter", "session to 1 + 1, by boto3", "ms", begin),
        Measure("interpreter", "a cell, by boto3", "ms", cells),
    ]


def _until_ready(server: RunningServer) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not frozen(server):
        if time.monotonic() > deadline:
            raise RuntimeError("the server has no ready sandbox")
        time.sleep(_LOOK_SECONDS)


async def _echoed(echo: Process) -> None:
    echo.stdin.write(b"hello\n")
    await echo.stdout.readline()


async def _milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1e3
