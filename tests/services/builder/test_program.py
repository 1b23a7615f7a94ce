"""Programs run to their end, or to ours."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from innkeeper.services.builder.program import run

ENVIRONMENT = {"PATH": os.environ["PATH"]}


async def test_what_it_said_and_how_it_ended() -> None:
    outcome = await run(
        ("sh", "-c", "echo out; echo err >&2; exit 3"), environment=ENVIRONMENT, timeout_seconds=10
    )
    assert (outcome.code, sorted(outcome.output.split())) == (3, ["err", "out"])


async def test_only_the_end_of_a_flood_is_kept() -> None:
    outcome = await run(
        ("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end"),
        environment=ENVIRONMENT,
        timeout_seconds=30,
    )
    assert len(outcome.output) == 65_536
    assert outcome.output.endswith("xend\n")


async def test_on_a_timeout_its_children_end_too(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(TimeoutError):
        await run(("sh", "-c", script), environment=ENVIRONMENT, timeout_seconds=0.5)
    await _ended(int((tmp_path / "child").read_text()))


async def test_on_a_cancellation_it_ends(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/self; exec sleep 300"
    task = asyncio.create_task(run(("sh", "-c", script), environment=ENVIRONMENT, timeout_seconds=60))
    written = tmp_path / "self"
    await _until(lambda: written.exists() and written.read_text().strip() != "")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _ended(int(written.read_text()))


async def test_what_cannot_be_started_says_so() -> None:
    outcome = await run(("/no/such/program",), environment=ENVIRONMENT, timeout_seconds=10)
    assert outcome.code == 127
    assert "No such file" in outcome.output


async def _ended(process: int) -> None:
    """Wait until a process is gone, or dead and only waits for its parent."""
    await _until(lambda: _is_over(process))


def _is_over(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about")
