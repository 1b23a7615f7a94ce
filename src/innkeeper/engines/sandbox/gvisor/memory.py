"""The memory that a sentry goes on with from a snapshot, lent by the server in pages of 2 MiB.

A sentry keeps what its sandbox remembers in a file of memfd_create(2). That has pages of 4 KiB unless the
administrator decides otherwise for all of the host, and to get 22,000 of them one by one is most of the work
of a restore of 90 MB. So the kernel has us answer that call (seccomp_unotify(2)), and the sentry gets a file
of a tmpfs(5) with large pages that is mounted nowhere and ends with its last file. A kernel that has no large
page left gives small ones; where we cannot answer, sentries have their own files.

Filters are inherited: one thread has ours, and starts whatever may be lent memory.
"""

import asyncio
import ctypes
import fcntl
import os
import platform
import struct
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from innkeeper.engines.sandbox import seccomp
from innkeeper.engines.sandbox.gvisor.lent import Lent

_NAME = b"runsc-memory\0"
"""What sentries call that file; they make others."""

# The same on all machines, as are the structures (linux/mount.h, linux/seccomp.h).
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_SET_STRING, _CREATE, _CLOSE_ON_EXEC = 1, 6, 1
_TMPFS = {b"huge": b"always", b"mode": b"0700", b"nr_inodes": b"0", b"size": b"0"}
_SET_FILTER, _NEW_LISTENER = 1, 1 << 3
_RECEIVE, _SEND, _ADD = 0xC050_2100, 0xC018_2101, 0x4018_2103
_NOTICE, _NOTICE_BYTES = struct.Struct("=QI20xQ"), 80  # a number, the thread, and its first argument
_GO_ON, _AND_ANSWER = 1, 1 << 1

_libc = ctypes.CDLL(None, use_errno=True)


class Memory:
    """What the sentries of a driver are lent; used from the event loop's thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "sandbox-starter")
        self._folder = self._listener = -1
        self._offered = False
        self._lent: dict[int, int] = {}

    def start(self, command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
        """As subprocess.Popen, something that may be lent memory. To it, its parent ends with `close`."""
        if not self._offered:
            self._offered = True
            self._offer()
        return self._thread.submit(_started, command, how).result()

    def lend(self, sentry: int, belongings: AsyncExitStack) -> Lent | None:
        """What this sentry gets when it asks, if any can be lent. What it does not ask for is given back with
        its other belongings."""
        if self._listener < 0:
            return None
        file = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=self._folder)
        self._lent[sentry] = file
        belongings.callback(self._take_back, sentry)
        return Lent(os.dup(file), belongings)

    def close(self) -> None:
        self._thread.shutdown()
        if self._listener >= 0:
            asyncio.get_running_loop().remove_reader(self._listener)
            os.close(self._listener)
            os.close(self._folder)
            self._listener = -1

    def _offer(self) -> None:
        try:
            folder = _mounted_nowhere()
        except OSError:
            return
        try:
            machine = seccomp.MACHINES[platform.machine()]
            self._listener = self._thread.submit(_listen, machine).result()
        except (KeyError, OSError):
            os.close(folder)
            return
        self._folder = folder
        asyncio.get_running_loop().add_reader(self._listener, self._asked)

    def _asked(self) -> None:
        notice = bytearray(_NOTICE_BYTES)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, notice)
            number, thread, name = _NOTICE.unpack_from(notice)
            if not self._give(number, thread, name):
                fcntl.ioctl(self._listener, _SEND, struct.pack("=QqiI", number, 0, 0, _GO_ON))
        except OSError:
            return  # who asked has ended meanwhile

    def _give(self, number: int, thread: int, name: int) -> bool:
        try:
            process = _process_of(thread)
            if process not in self._lent or _read(thread, name, len(_NAME)) != _NAME:
                return False
            file = self._lent[process]
            fcntl.ioctl(self._listener, _ADD, struct.pack("=QIIII", number, _AND_ANSWER, file, 0, 0))
        except OSError:
            return False
        self._take_back(process)
        return True

    def _take_back(self, sentry: int) -> None:
        if (file := self._lent.pop(sentry, None)) is not None:
            os.close(file)


def _started(command: Sequence[str], how: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, **how)


def _mounted_nowhere() -> int:
    """Such a file system, as an open folder. Raises OSError where there is no such thing."""
    system = _called(_FSOPEN, b"tmpfs", _CLOSE_ON_EXEC)
    try:
        for key, value in _TMPFS.items():
            _called(_FSCONFIG, system, _SET_STRING, key, value, 0)
        _called(_FSCONFIG, system, _CREATE, None, None, 0)
        return _called(_FSMOUNT, system, _CLOSE_ON_EXEC, 0)
    finally:
        os.close(system)


def _listen(machine: seccomp.Machine) -> int:
    """Have this thread, and all that descends from it, ask. Raises OSError."""
    program = seccomp.asking(machine)
    words = ctypes.create_string_buffer(program)
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(words))
    return _called(machine.seccomp, _SET_FILTER, _NEW_LISTENER, described)


def _called(call: int, *arguments: Any) -> int:
    result = int(_libc.syscall(call, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _process_of(thread: int) -> int:
    lines = Path(f"/proc/{thread}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Tgid:"))


def _read(process: int, address: int, size: int) -> bytes:
    memory = os.open(f"/proc/{process}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(memory, size, address)
    finally:
        os.close(memory)
