"""Processes on the host that belong to a sandbox: bubblewrap, its guest agent, slirp4netns, ip.

They are waited for through pidfds: no thread, no SIGCHLD, and no doubt about whom a signal reaches.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Sequence

from innkeeper.engines.sandbox.sandbox import SandboxError

KILL_TIMEOUT_SECONDS = 30.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COMPLAINTS_MAX_BYTES = 4096
_ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8"}


class WatchedProcess:
    """Any process that is alive now; raises ProcessLookupError when it is not."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._loop.add_reader(self._pidfd, self._end)

    def _end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._ended.set()

    async def wait(self) -> None:
        await self._ended.wait()

    async def kill(self) -> None:
        """End it, and return when it has ended. Raises SandboxError when it does not."""
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):  # reaped, but we were not told yet
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        try:
            async with asyncio.timeout(KILL_TIMEOUT_SECONDS):
                await self.wait()
        except TimeoutError:
            raise SandboxError(f"process {self.pid} outlived SIGKILL by {KILL_TIMEOUT_SECONDS:g} s") from None


class ChildProcess(WatchedProcess):
    """Started by us, from the event loop's thread: bubblewrap dies with the *thread* that started it."""

    def __init__(
        self,
        argv: Sequence[str],
        pass_fds: Sequence[int] = (),
        stdin: int | None = None,
        stdout: int | None = None,
        start: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen,
    ) -> None:
        """Raises SandboxError when the program cannot be started."""
        self._complaints = _bounded_file()
        try:
            self._process = start(
                argv,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=self._complaints if stdout is None else stdout,
                stderr=self._complaints,
                pass_fds=pass_fds,
                env=_ENVIRONMENT,
                cwd="/",
            )
        except OSError as error:
            os.close(self._complaints)
            raise SandboxError(f"cannot start {argv[0]}: {error.strerror}") from error
        try:
            super().__init__(self._process.pid)
        except OSError as error:
            self._process.kill()
            self._process.wait()
            os.close(self._complaints)
            raise SandboxError(f"cannot watch {argv[0]}: {error.strerror}") from error

    def _end(self) -> None:
        self.status = self._process.wait()
        super()._end()

    def complaints(self) -> str:
        """The first 4 KiB of what it printed, until it is `settled`."""
        text = os.pread(self._complaints, _COMPLAINTS_MAX_BYTES, 0).rstrip(b"\0")
        return text.decode(errors="replace").strip()

    def settled(self) -> None:
        """It started well; what it prints is of no interest any more."""
        if self._complaints >= 0:
            os.close(self._complaints)
        self._complaints = -1

    async def kill(self) -> None:
        self.settled()
        await super().kill()


def _bounded_file() -> int:
    """A file in memory that takes 4 KiB and refuses the rest, so that nobody has to read it."""
    fd = os.memfd_create("complaints", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, _COMPLAINTS_MAX_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return fd
