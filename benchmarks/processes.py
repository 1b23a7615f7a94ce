"""What processes weigh, from /proc (proc(5))."""

from collections import defaultdict
from pathlib import Path

_PROC = Path("/proc")


def descendants(pid: int) -> set[int]:
    """All processes below this one, without itself."""
    children = defaultdict(set)
    for stat in _PROC.glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[parent].add(int(stat.parent.name))
    found: set[int] = set()
    new = {pid}
    while new:
        new = set().union(*(children[one] for one in new))
        found |= new
    return found


def pss_mib(pid: int) -> float | None:
    """Its memory, pages that it shares counted in proportion; None when it has ended or may not be looked at,
    as is the case with sandboxes for all but root."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), None)
