"""What every sandbox driver offers: isolated rooms in which code runs, behind one protocol.

A driver creates sandboxes; a sandbox runs processes, hands out connections to its ports and its files, says
what it used, and can be killed. All calls are asynchronous and bounded in time. The contract suite in
`engines/sandbox/contract.py` says by test what each of them means.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class SandboxError(Exception):
    """The sandbox could not do it; the message names the cause and, where there is one, the cure."""


class CannotStart(SandboxError):
    """The program is not there, or may not be run; `code` is what a shell then ends with: 127 or 126."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class SandboxGone(SandboxError):
    """The sandbox has ended, by itself or by `kill`."""


class SandboxPaused(SandboxError):
    """The sandbox is paused: `resume` it first."""


class Network(StrEnum):
    """`NONE`: loopback only. `PUBLIC`: the internet, but never metadata addresses or private ranges.
    `LISTED`: what the `Egress` lists of that, by TCP alone."""

    NONE = "none"
    LISTED = "listed"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Secret:
    """`header: value` on each request that the sandbox makes to `domain`, an exact name or `*.suffix`, by
    https or http. The request leaves by https alone, and the value never enters the sandbox."""

    domain: str
    header: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Egress:
    """What a sandbox with the network `LISTED` may reach; nothing, unless told otherwise.

    `domains` are exact names, `*.suffix` (any name below it) or `*`; `cidrs` are addresses or ranges of
    IPv4, with `:PORT` or `:FIRST-LAST` where not every port is meant. The domain of a secret is listed by
    that. Metadata addresses, private ranges and this host stay out of reach whatever is listed.
    """

    domains: Sequence[str] = ()
    cidrs: Sequence[str] = ()
    secrets: Sequence[Secret] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the host at `target` (absolute) inside; read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Relay:
    """A TCP port on the sandbox's own 127.0.0.1 whose connections are carried to an address outside; there
    they come from `source`, an address of this host, if it is given."""

    port: int
    host: str
    host_port: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the sandbox may use at most. `scratch_mib` bounds /tmp and each of its own folders, in memory."""

    cpu_cores: float = 2.0
    memory_mib: int = 8192
    processes: int = 1024
    open_files: int = 65_536
    scratch_mib: int = 1024


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """`id` is unique on this host: letters, digits, `-` and `_`, up to 64. `layers` are folders whose `usr`
    and `etc` are laid over the host's, the first of them uppermost. `root` is a whole root file system, to
    be seen in the place of the host's programs, with no layers; all of it is read-only. `folders` are the
    agent's own, in memory: its home, which is `/home/agent` or, without a root, `/home/user`, then others
    of one name, such as `/app`."""

    id: str
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    network: Network = Network.NONE
    egress: Egress = Egress()
    relays: Sequence[Relay] = ()
    working_directory: str = "/home/agent"
    layers: Sequence[Path] = ()
    root: Path | None = None
    folders: Sequence[str] = ("/home/agent",)


@dataclass(frozen=True, slots=True)
class TerminalSize:
    columns: int = 80
    rows: int = 24


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `environment` is laid over the sandbox's own. With a `terminal`, the process gets a
    pseudo-terminal: its output is then all on `stdout`."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    terminal: TerminalSize | None = None


@dataclass(frozen=True, slots=True)
class Preload:
    """A Python program that may be loaded before there is a sandbox for it. `python` and `module`, a file,
    are paths inside; `load(arguments)` in the module gives the function that its processes run, of no
    arguments. What is done until then is common to all of them: it must hold nothing of a session's own."""

    python: str
    module: str
    arguments: Sequence[str] = ()


class Process(Protocol):
    """A process in a sandbox. Output is read from the pipes: an unread pipe blocks the process, not us.
    `id` names it within its sandbox, and in one that is restored from a snapshot of it."""

    id: int
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    async def wait(self) -> int:
        """The exit code, or minus the signal's number. Raises SandboxGone when the sandbox ends first."""
        ...

    async def signal(self, number: int) -> None:
        """Send a signal to the process and its whole process group."""
        ...

    async def resize(self, size: TerminalSize) -> None: ...

    async def go_direct(self) -> None:
        """Where the driver can, and the process takes part, have `stdin` and `stdout` carried with nothing of
        ours between, until the next snapshot: see `gvisor/line.py`. To be called while neither of the two has
        anything to say. Idempotent; raises nothing."""
        ...

    def close(self) -> None:
        """Close our ends of its pipes; the process goes on."""
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """Measured by the kernel since creation. `measured` is False where the host offers no accounting."""

    cpu_seconds: float = 0.0
    memory_mib: float = 0.0
    memory_peak_mib: float = 0.0
    processes: int = 0
    measured: bool = True


class Sandbox(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def folders(self) -> Sequence[str]:
        """The agent's own, in memory, its home first."""
        ...

    async def exec(self, command: Command) -> Process:
        """Start a process. Raises CannotStart for the program, SandboxError for anything else."""
        ...

    async def dial(self, port: int) -> socket.socket:
        """A connected, non-blocking TCP socket to 127.0.0.1:`port` inside. Raises ConnectionRefusedError."""
        ...

    async def read_file(self, path: str, limit_bytes: int = 100_000_000) -> bytes:
        """Raises FileNotFoundError, IsADirectoryError, PermissionError, or SandboxError past the limit."""
        ...

    async def write_file(self, path: str, data: bytes) -> None:
        """Parents are made. The path is resolved inside: a link cannot lead out."""
        ...

    async def set_egress(self, egress: Egress) -> None:
        """Put another list in the place of the one in force, while paused too. Connections to what is no
        longer listed end; the others go on. Raises SandboxError where the network is not `LISTED`, or a line
        of the list is none."""
        ...

    def process(self, process_id: int) -> Process:
        """One that was running when the sandbox that this one was restored from was snapshotted, with its
        streams attached anew. Raises SandboxError when there is none, or it was taken already."""
        ...

    async def snapshot(self, folder: Path, *, keep_running: bool = True, durable: bool = True) -> None:
        """Write all that goes on inside (memory, processes, files in memory) into `folder`, which must not
        exist, and go on; or have ended, unless it is to `keep_running`: then nothing goes on inside after the
        moment that was written. Connections by `dial` and relays end; streams of processes go on. What lies
        in mounts is not in it. One that is not `durable` is made sooner, and nobody restores it but this
        driver. Raises SandboxError; then there is no folder, and the sandbox is as before."""
        ...

    async def set_limits(self, limits: Limits) -> None:
        """Change `cpu_cores` and `memory_mib` while it runs; the others stay as they are. Raises
        SandboxError; then nothing has changed."""
        ...

    async def usage(self) -> Usage: ...

    async def pause(self) -> None:
        """Stop every process where it is: memory and connections stay, no processor is used. Until `resume`,
        other calls but `usage`, `set_egress`, `closed` and `kill` raise SandboxPaused; those under way wait,
        within their time limits. Idempotent. Raises SandboxError; then nothing is stopped."""
        ...

    async def resume(self) -> None:
        """Let every process go on where it was. Idempotent."""
        ...

    async def closed(self) -> None:
        """Return once the sandbox has ended, for whatever cause."""
        ...

    async def kill(self) -> None:
        """End every process at once and release everything. Idempotent."""
        ...


class Isolation(StrEnum):
    """What stands between the code and the host: `KERNEL_SHARED` (namespaces), `USER_KERNEL`, `MICROVM`."""

    KERNEL_SHARED = "kernel-shared"
    USER_KERNEL = "user-kernel"
    MICROVM = "microvm"


_WALLS = {
    Isolation.KERNEL_SHARED: "namespaces on the host's kernel",
    Isolation.USER_KERNEL: "each has a kernel of its own",
    Isolation.MICROVM: "each is a machine of its own",
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the driver really can do on this machine; `problems` names what is missing and how to get it."""

    isolation: Isolation
    networks: frozenset[Network]
    enforces_limits: bool
    measures_usage: bool
    can_pause: bool = False
    can_snapshot: bool = False
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        return bool(self.networks)

    @property
    def wall(self) -> str:
        """In words: what stands there, and what is missing."""
        return "; ".join((_WALLS[self.isolation] if self.usable else "no sandboxes", *self.problems))


class SandboxDriver(Protocol):
    """`spares` is how many sandboxes of a kind may be kept half made for `restore`, `zygotes` how many
    programs may be kept loaded for `hatch`; 0 at first."""

    spares: int
    zygotes: int

    @property
    def name(self) -> str: ...

    async def probe(self) -> Capabilities:
        """Look at this machine; start nothing that stays."""
        ...

    async def create(self, spec: SandboxSpec) -> Sandbox:
        """Raises SandboxError; then nothing of the attempt is left."""
        ...

    async def hatch(self, spec: SandboxSpec, preload: Preload) -> tuple[Sandbox, Process] | None:
        """A new sandbox, and a process in it that begins with the program loaded: a warm start, and no copy
        of anything that has run. None where the driver cannot, or not yet: then it begins to load it, and the
        caller makes the sandbox by `create`. Raises SandboxError; then nothing of the attempt is left."""
        ...

    def expect(self, spec: SandboxSpec) -> None:
        """A `restore` with this spec, whatever its id, is about to come: begin what can be done ahead."""
        ...

    async def restore(self, folder: Path, spec: SandboxSpec, *, again: bool = False) -> Sandbox:
        """A new sandbox that goes on from a snapshot; one snapshot gives any number, and for one that will be
        restored `again` more can be done ahead. The id, environment, `cpu_cores`, `memory_mib`, relays and
        working directory are those of `spec`; the rest of it must be as it was. Raises SandboxError that says
        why; then nothing of the attempt is left."""
        ...

    async def reap(self) -> list[str]:
        """Kill what an earlier server left on this host and release it; the ids that were found."""
        ...

    async def close(self) -> None:
        """Kill every sandbox of this driver."""
        ...
