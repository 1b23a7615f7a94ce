"""Limits and metering by the kernel's control groups, version 1 or 2 (cgroups(7)).

A sandbox gets one group in each hierarchy that offers a controller we need; with version 2 that is one.
They lie below the server's own group, so that a limit set on the server holds for its sandboxes too.
"""

import asyncio
import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import Limits, SandboxError, Usage

CONTROLLERS = ("cpu", "memory", "pids")
_PERIOD_US = 100_000
_MIB = 1 << 20
_SWAP = ("memory.memsw.limit_in_bytes", "memory.swap.max")  # only where the kernel accounts swap
_WEIGHTS = {1: ("cpu.shares", 1024), 2: ("cpu.weight", 100)}  # with what a new group has, by the version
_HURRY = 8
_FREEZER = frozenset({"freezer"})
_SERVER_LEAF = "innkeeper-server"
_OWN_PROCESSES = 2  # bubblewrap and the guest agent, which are in the group but not the agent's
_RELEASE_TIMEOUT_SECONDS = 30.0  # a busy machine takes a while to bury a thousand threads
_LOOKS, _LOOK_SECONDS = 50, 0.1
_REST = 0.2  # of a processor
_V2_HINT = "run the server in a cgroup of its own: `systemd-run --user --scope -p Delegate=yes innkeeper up`"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """`parent` is the folder in which groups are made, `controllers` what it governs."""

    parent: Path
    version: int
    controllers: frozenset[str]

    @property
    def freezes(self) -> bool:
        return self.version == 2 or self.controllers >= _FREEZER


_Mounted = tuple[Path, str, frozenset[str]]


class Cgroup:
    """The group of one sandbox."""

    def __init__(self, hierarchies: Sequence[Hierarchy], name: str) -> None:
        self._folders = {hierarchy: hierarchy.parent / f"innkeeper-{name}" for hierarchy in hierarchies}
        self._last = Usage(measured=bool(hierarchies))

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(map(str, self._folders.values()))

    @property
    def doors(self) -> tuple[str, ...]:
        """The files into which a process writes its pid to enter."""
        return tuple(f"{path}/cgroup.procs" for path in self.paths)

    @property
    def freezes(self) -> bool:
        return any(hierarchy.freezes for hierarchy in self._folders)

    def make(self, limits: Limits) -> None:
        """Raises SandboxError; then no group is left."""
        try:
            for hierarchy, folder in self._folders.items():
                folder.mkdir()
                for knob, value in _settings(hierarchy, limits):
                    if knob not in _SWAP or (folder / knob).exists():
                        (folder / knob).write_text(value)
        except OSError as error:
            release(self.paths)
            raise SandboxError(f"cannot make a cgroup: {error}") from error

    def change(self, limits: Limits) -> None:
        """Raises OSError; some of them may have changed then."""
        for hierarchy, folder in self._folders.items():
            _check_room(folder, limits)
            _change(folder, _settings(hierarchy, limits))

    @contextlib.contextmanager
    def hurried(self) -> Iterator[None]:
        """As long as somebody waits for it alone: where the processor is short, it gets eight times what
        another group gets, up to its own limit."""
        self._weigh(_HURRY)
        try:
            yield
        finally:
            self._weigh(1)

    def usage(self) -> Usage:
        """The last known values once the group is gone."""
        with contextlib.suppress(OSError):
            if self._folders:
                self._last = self._read()
        return self._last

    async def rests(self) -> None:
        """Return once its processes have next to nothing to do, 5 s later at most."""
        for _ in range(_LOOKS):
            before = self.usage().cpu_seconds
            await asyncio.sleep(_LOOK_SECONDS)
            if self.usage().cpu_seconds - before < _REST * _LOOK_SECONDS:
                return

    def release(self) -> None:
        """See `release`, below; the usage is kept."""
        self.usage()
        release(self.paths)

    def _weigh(self, times: int) -> None:
        for hierarchy, folder in self._folders.items():
            if "cpu" in hierarchy.controllers:
                knob, usual = _WEIGHTS[hierarchy.version]
                with contextlib.suppress(OSError):  # it has ended, or is slower
                    (folder / knob).write_text(str(usual * times))

    def _read(self) -> Usage:
        values: dict[str, float] = {}
        for hierarchy, folder in self._folders.items():
            for measure, (knob, unit) in _measures(hierarchy).items():
                with contextlib.suppress(FileNotFoundError):  # `memory.peak` came with Linux 5.19
                    values[measure] = _number((folder / knob).read_text()) / unit
        if not values:
            return self._last
        memory = values.get("memory", 0.0)
        return Usage(
            cpu_seconds=values.get("cpu", 0.0),
            memory_mib=memory,
            memory_peak_mib=max(values.get("peak", memory), self._last.memory_peak_mib),
            processes=max(int(values.get("processes", 0)) - _OWN_PROCESSES, 0),
        )


def open_hierarchies(
    mountinfo: Path = Path("/proc/self/mountinfo"), own: Path = Path("/proc/self/cgroup")
) -> tuple[tuple[Hierarchy, ...], tuple[str, ...]]:
    """Where this process may make groups that limit processor, memory and processes; and why not, if not.
    With version 2 this moves the process into a leaf of its group: see `_delegated`."""
    groups = dict(_own_groups(own.read_text()))
    found: list[Hierarchy] = []
    mounts = _cgroup_mounts(mountinfo.read_text())
    for mount, kind, options in mounts:
        if kind == "cgroup2":
            offered = _offered(mount)
            if offered and (parent := _delegated(mount, groups.get("", "/"))):
                found.append(Hierarchy(parent, 2, offered))
        elif controllers := options & {*CONTROLLERS, "cpuacct"}:
            parent = _existing(mount, groups.get(min(controllers), "/"))
            if os.access(parent, os.W_OK):
                found.append(Hierarchy(parent, 1, controllers))
    missing = set(CONTROLLERS).difference(*(hierarchy.controllers for hierarchy in found))
    if not missing:
        return (*found, *_freezer(mounts, groups, found)), ()
    problem = f"no limits and no metering: no cgroup here may be used for {', '.join(sorted(missing))}; "
    return (), (problem + _V2_HINT,)


def _freezer(
    mounts: Sequence[_Mounted], groups: Mapping[str, str], found: Sequence[Hierarchy]
) -> list[Hierarchy]:
    """Where to freeze, if none of those found can; version 2 first: what it froze can be killed."""
    if any(hierarchy.freezes for hierarchy in found):
        return []
    places = [
        Hierarchy(_existing(mount, groups.get("", "/")), 2, _FREEZER)
        if kind == "cgroup2"
        else Hierarchy(_existing(mount, groups.get("freezer", "/")), 1, _FREEZER)
        for mount, kind, options in mounts
        if kind == "cgroup2" or "freezer" in options
    ]
    usable = [place for place in places if os.access(place.parent, os.W_OK)]
    return sorted(usable, key=lambda place: -place.version)[:1]


def release(paths: Sequence[str]) -> None:
    """Kill whatever is in the groups and remove them. Blocks up to 30 s; raises SandboxError after that."""
    deadline = time.monotonic() + _RELEASE_TIMEOUT_SECONDS
    for path in map(Path, paths):
        while not _removed(path):
            if time.monotonic() > deadline:
                raise SandboxError(f"the cgroup {path} could not be removed")
            _kill_members(path)
            time.sleep(0.005)


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _kill_members(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        for pid in (path / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _settings(hierarchy: Hierarchy, limits: Limits) -> list[tuple[str, str]]:
    if hierarchy.controllers == _FREEZER:
        return []
    quota = max(int(limits.cpu_cores * _PERIOD_US), 1000)
    memory = str(limits.memory_mib * _MIB)
    processes = str(limits.processes + _OWN_PROCESSES)
    if hierarchy.version == 2:
        quota_line = f"{quota} {_PERIOD_US}"
        return [
            ("cpu.max", quota_line),
            ("memory.max", memory),
            ("memory.swap.max", "0"),
            ("pids.max", processes),
        ]
    settings = {
        "cpu": [("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", str(quota))],
        "memory": [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)],
        "pids": [("pids.max", processes)],
    }
    return [setting for name in hierarchy.controllers for setting in settings.get(name, [])]


def _check_room(folder: Path, limits: Limits) -> None:
    """Version 2 would kill for what is in use above a new limit; version 1 refuses by itself."""
    used = folder / "memory.current"
    if used.exists() and _number(used.read_text()) > limits.memory_mib * _MIB:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _change(folder: Path, settings: Sequence[tuple[str, str]]) -> None:
    """Version 1 refuses to lower the bound on memory with swap below that without, or to raise that above
    it: the one order of the two does for lowering, the other for raising."""
    present = [(folder / knob, value) for knob, value in settings if (folder / knob).exists()]
    refused = [knob for knob, value in present if not _accepts(knob, value)]
    for knob, value in present:
        if refused:
            knob.write_text(value)


def _accepts(knob: Path, value: str) -> bool:
    try:
        knob.write_text(value)
    except OSError:
        return False
    return True


def _measures(hierarchy: Hierarchy) -> dict[str, tuple[str, float]]:
    """What is read from which file, and what to divide it by."""
    if hierarchy.controllers == _FREEZER:
        return {}
    if hierarchy.version == 2:
        return {
            "cpu": ("cpu.stat", 1e6),
            "memory": ("memory.current", _MIB),
            "peak": ("memory.peak", _MIB),
            "processes": ("pids.current", 1),
        }
    measures: dict[str, tuple[str, float]] = {}
    if "cpuacct" in hierarchy.controllers:
        measures["cpu"] = ("cpuacct.usage", 1e9)
    if "memory" in hierarchy.controllers:
        measures["memory"] = ("memory.usage_in_bytes", _MIB)
        measures["peak"] = ("memory.max_usage_in_bytes", _MIB)
    if "pids" in hierarchy.controllers:
        measures["processes"] = ("pids.current", 1)
    return measures


def _number(text: str) -> float:
    """A file's only number, or the `usage_usec` at the top of `cpu.stat`."""
    return float(text.split("\n", 1)[0].removeprefix("usage_usec "))


def _own_groups(text: str) -> list[tuple[str, str]]:
    """`/proc/self/cgroup` as (controller, path); the controller of version 2 is the empty string."""
    lines = [line.split(":", 2) for line in text.splitlines()]
    return [(controller, path) for _, names, path in lines for controller in names.split(",")]


def _cgroup_mounts(text: str) -> list[_Mounted]:
    """Of `/proc/self/mountinfo`: mount point, `cgroup` or `cgroup2`, super block options (proc(5))."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            mounts.append((Path(before.split()[4]), kind, frozenset(options.split(","))))
    return mounts


def _existing(mount: Path, group: str) -> Path:
    """The server's own group, or what is mounted where a container hides that."""
    path = mount / group.lstrip("/")
    return path if path.is_dir() else mount


def _offered(folder: Path) -> frozenset[str]:
    try:
        offered = frozenset((folder / "cgroup.controllers").read_text().split())
    except OSError:
        return frozenset()
    return offered & set(CONTROLLERS)


def _delegated(mount: Path, group: str) -> Path | None:
    """A version 2 group that may have children with limits. One that holds processes may not, so the server
    moves into a leaf of its own group; where others are in that too, the top of the tree is left."""
    own = _existing(mount, group)
    if own.name == _SERVER_LEAF:
        own = own.parent
    for parent in dict.fromkeys((own, mount)):
        if not os.access(parent / "cgroup.subtree_control", os.W_OK) or _offered(parent) < set(CONTROLLERS):
            continue
        with contextlib.suppress(OSError):
            if parent == own != mount:
                leaf = parent / _SERVER_LEAF
                leaf.mkdir(exist_ok=True)
                (leaf / "cgroup.procs").write_text(str(os.getpid()))
            (parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))
            return parent
    return None
