"""The processes of this machine, as /proc shows them: what a server started, and what it left."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ENDED = "ZX"  # a zombie has ended; only its parent has not looked yet


@dataclass(frozen=True, slots=True)
class Process:
    """One process for certain: a pid is used again, together with its start time it is not."""

    pid: int
    started: int
    parent: int
    command: str

    @property
    def alive(self) -> bool:
        now = _read(self.pid)
        return now is not None and now.started == self.started


def below(pid: int) -> list[Process]:
    """The descendants of a process."""
    children: dict[int, list[Process]] = {}
    for process in _all():
        children.setdefault(process.parent, []).append(process)
    found, left = [], [pid]
    while left:
        for child in children.get(left.pop(), []):
            found.append(child)
            left.append(child.pid)
    return found


def naming(folder: Path) -> list[Process]:
    """Those whose command line names the folder."""
    return [process for process in _all() if str(folder) in process.command]


def all_gone(processes: list[Process], seconds: float) -> list[Process]:
    """Wait until none is alive; gives those that still are after that time."""
    until(lambda: not any(process.alive for process in processes), seconds)
    return [process for process in processes if process.alive]


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def _all() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (process := _read(int(folder.name))):
            yield process


def _read(pid: int) -> Process | None:
    """None when there is none, or it has ended. See proc(5): fields 3, 4 and 22 of `stat`."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if stat[0] in _ENDED else Process(pid, int(stat[19]), int(stat[1]), command)
