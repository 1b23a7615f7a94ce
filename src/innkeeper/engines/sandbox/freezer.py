"""Stopping all processes of control groups at once, and letting them go on (cgroups(7)).

Version 2 is `cgroup.freeze`, version 1 the controller `freezer`; groups without either are left alone. What
version 1 has frozen cannot be killed: thaw it first.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import SandboxError

FREEZE_TIMEOUT_SECONDS = 5.0
_LOOK_SECONDS = 0.0005
_LOOKS = 100


async def freeze(paths: Sequence[str]) -> None:
    """Return once every process stands still. Raises SandboxError; then none does."""
    try:
        async with asyncio.timeout(FREEZE_TIMEOUT_SECONDS):
            while not await _stands_still(paths):
                thaw(paths)
    except TimeoutError:
        thaw(paths)
        raise SandboxError(f"the sandbox did not stand still in {FREEZE_TIMEOUT_SECONDS:g} s") from None
    except OSError as error:
        thaw(paths)
        raise SandboxError(f"cannot freeze the sandbox: {error.strerror}") from error
    except asyncio.CancelledError:
        thaw(paths)
        raise


def thaw(paths: Sequence[str]) -> None:
    """Harmless where nothing is frozen, or nothing is left."""
    with contextlib.suppress(OSError):
        _write(paths, "0", "THAWED")


async def _stands_still(paths: Sequence[str]) -> bool:
    """One try. Version 1 may wait for ever for a process that was just being made; the next try gets it."""
    _write(paths, "1", "FROZEN")
    for _ in range(_LOOKS):
        if _frozen(paths):
            return True
        await asyncio.sleep(_LOOK_SECONDS)
    return False


def _write(paths: Sequence[str], version_2: str, version_1: str) -> None:
    for path in map(Path, paths):
        for knob, word in (("cgroup.freeze", version_2), ("freezer.state", version_1)):
            if (path / knob).exists():
                (path / knob).write_text(word)


def _frozen(paths: Sequence[str]) -> bool:
    return all(_states(paths))


def _states(paths: Sequence[str]) -> Iterator[bool]:
    for path in map(Path, paths):
        if (path / "cgroup.freeze").exists():
            yield "frozen 1" in (path / "cgroup.events").read_text()
        elif (path / "freezer.state").exists():
            yield (path / "freezer.state").read_text().strip() == "FROZEN"
