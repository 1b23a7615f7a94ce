"""What a server holds of its machine, to be compared before and after its guests have come and gone."""

import os
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

from tests.running import RunningServer
from tests.stories.processes import below, naming, until

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Holdings:
    """Counts. `state` is of what the sandbox drivers keep on disk; `mounts` are all of the host's; `files`
    leaves out those of the databases, whose pools keep as many open as were once needed together."""

    processes: int
    network_namespaces: int
    mounts: int
    sockets: int
    files: int
    state: int

    @classmethod
    def of(cls, server: RunningServer) -> "Holdings":
        assert server.process
        pid = server.process.pid
        family = {process.pid for process in (*below(pid), *naming(server.data_dir))} - {pid}
        opened = _links(Path(f"/proc/{pid}/fd"))
        return cls(
            processes=len(family),
            network_namespaces=len({_network(each) for each in family}),
            mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
            sockets=sum(map(_is_socket, opened)),
            files=opened_files(server).total(),
            state=sum(len(names) + len(kept) for _, names, kept in os.walk(server.data_dir / "sandboxes")),
        )

    def beyond(self, before: "Holdings") -> dict[str, int]:
        """What there is more of than before."""
        more = {field.name: getattr(self, field.name) - getattr(before, field.name) for field in fields(self)}
        return {name: count for name, count in more.items() if count > 0}


def opened_files(server: RunningServer) -> Counter[str]:
    """Those that count, by what they lead to."""
    assert server.process
    opened = _links(Path(f"/proc/{server.process.pid}/fd"))
    return Counter(link for link in opened if not _is_socket(link) and ".db" not in Path(link).name)


def at_rest(server: RunningServer, seconds: float) -> Holdings:
    """What a server without live sessions holds, once the last of them has gone."""
    assert until(lambda: Holdings.of(server).processes == 0, seconds)
    return Holdings.of(server)


def back_to(server: RunningServer, before: Holdings, seconds: float) -> dict[str, int]:
    """Wait until the server holds no more than before; what is still held after that time."""
    until(lambda: not Holdings.of(server).beyond(before), seconds)
    return Holdings.of(server).beyond(before)


def empty_cgroups() -> set[Path]:
    """The groups of sandboxes, of all servers on this host, that have no process."""
    found = set()
    for folder, names, _ in os.walk(_CGROUPS):
        found |= {Path(folder, name) for name in names if name.startswith("innkeeper-")}
    return {group for group in found if _empty(group)}


def forgotten_cgroups(before: set[Path], seconds: float) -> set[Path]:
    """Those that stay empty: a sandbox that begins or ends leaves its own so for a moment only."""
    suspects = empty_cgroups() - before
    until(lambda: not (suspects & empty_cgroups()), seconds)
    return suspects & empty_cgroups()


def memory_mib(server: RunningServer) -> float:
    """The server's own resident memory, without its sandboxes'."""
    assert server.process
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def _empty(group: Path) -> bool:
    try:
        return group.name != "innkeeper-server" and not (group / "cgroup.procs").read_text()
    except OSError:
        return False


def _network(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def _is_socket(link: str) -> bool:
    return link.startswith("socket:")


def _links(folder: Path) -> list[str]:
    found = []
    for entry in folder.iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return found


def recorded(server: RunningServer) -> set[int]:
    """The processes of its sandboxes that the host can name, by what their drivers wrote down."""
    return {each["pid"] for _, noted in server.sandboxes() for each in noted["processes"]}
