"""An empty sandbox, as a zygote has to know it to put a process there."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from innkeeper.engines.sandbox.host_users import HostUser
from innkeeper.engines.sandbox.sandbox import SandboxError

# ioctl_ns(2)
_GET_USERS, _GET_PARENT = 0xB701, 0xB702
_KINDS = ("cgroup", "ipc", "uts", "net", "pid", "mnt", "user")


@dataclass(frozen=True, slots=True)
class Nest:
    """`guest` is the host's number of its process 1, `doors` are the files to enter its control groups by."""

    guest: int
    user: HostUser
    doors: Sequence[str]
    open_files: int
    writable: Sequence[str]
    directory: str
    environment: Mapping[str, str]

    @property
    def fields(self) -> tuple[str, ...]:
        """Of the request to fork into it; see `zygote_guest.py`."""
        numbers = (self.user.uid, self.user.gid, self.open_files)
        variables = (f"{name}={value}" for name, value in self.environment.items())
        writable = (str(len(self.writable)), *self.writable)
        return (*map(str, numbers), self.directory, *writable, *variables)

    def admit(self, pid: int) -> None:
        """Put a process into the control groups. Raises SandboxError."""
        try:
            for door in self.doors:
                Path(door).write_text(str(pid))
        except OSError as error:
            raise SandboxError(f"cannot put a process into the sandbox: {error.strerror}") from error

    @contextmanager
    def spaces(self) -> Iterator[tuple[int, ...]]:
        """Descriptors of its namespaces, that of users which the zygote owns first. Raises SandboxError."""
        with ExitStack() as stack:

            def kept(fd: int) -> int:
                stack.callback(os.close, fd)
                return fd

            try:
                places = {kind: f"/proc/{self.guest}/ns/{kind}" for kind in _KINDS}
                inner = {kind: kept(os.open(path, os.O_RDONLY)) for kind, path in places.items()}
                over = kept(fcntl.ioctl(inner["net"], _GET_USERS))
                outer = kept(fcntl.ioctl(over, _GET_PARENT))
            except OSError as error:
                raise SandboxError(f"cannot reach the sandbox: {error.strerror}") from error
            yield outer, *inner.values()
