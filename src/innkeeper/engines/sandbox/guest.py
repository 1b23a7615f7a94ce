"""Process 1 of a sandbox: does what the host asks, and reaps the dead.

Runs inside, on whatever Python >= 3.9 is visible there, and uses the standard library only. Its words with
the host are described in `calls.py`; what carries them, each driver has of its own.
"""

from __future__ import annotations

import _socket  # `socket` and `signal` load `enum` and `re`: a third of the time a sandbox takes to start
import errno
import fcntl
import os
import select
import struct
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal

VERSION = 3
REQUEST_MAX_BYTES = 131_072
REPLY = struct.Struct("!iii")
EVENT = -1
AT_DIRECTORY = 1
AT_PROGRAM = 2


class Guest:
    """`serve` answers one request after the other until the host's end of what carries them, of which `heard`
    is read, closes."""

    def __init__(self, heard: int) -> None:
        self._heard = heard
        self._running: set[int] = set()
        self._poll = select.poll()

    def serve(self) -> None:
        wake, waker = os.pipe()
        for end in (wake, waker):
            os.set_blocking(end, False)
        _signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        self._poll.register(self._heard, select.POLLIN)
        self._poll.register(wake, select.POLLIN)
        self._reply(0, 0, VERSION)
        while True:
            for ready, _ in self._poll.poll():
                if ready == wake:
                    os.read(wake, 4096)
                    self._reap()
                elif ready != self._heard:
                    self._carry(ready)
                elif not self._answer():
                    return

    def _carry(self, ready: int) -> None:
        """A descriptor that was added to `_poll` is ready."""

    def _answer(self) -> bool:
        """Handle what was asked; False when the host has closed its end."""
        raise NotImplementedError

    def _reply(self, request: int, error: int, value: int, passed: int = -1) -> None:
        raise NotImplementedError

    def _do(self, operation: bytes, request: int, fields: list[bytes], passed: list[int]) -> None:
        if operation == b"exec":
            self._reply(request, *self._exec(fields, passed))
        elif operation == b"signal":
            self._signal(int(fields[0]), int(fields[1]))
            self._reply(request, 0, 0)
        elif operation == b"dial":
            self._reply(request, 0, 0, _dial(int(fields[0])))
        elif operation == b"listen":
            self._reply(request, 0, 0, listen(int(fields[0])))
        elif operation == b"open":
            self._reply(request, 0, 0, open_file(fields[0], int(fields[1])))
        elif operation == b"adopt":
            self._reply(request, 0, self._adopt(int(fields[0])))

    def _enter(self) -> None:
        """What a new process does to itself before it becomes a program."""

    def _exec(self, fields: list[bytes], passed: list[int]) -> tuple[int, int, int]:
        """Fields: terminal (`COLUMNS ROWS`, or empty), working directory, count of arguments, arguments,
        environment. Gives error, pid (or where it failed), and the terminal's other end or -1."""
        terminal, directory, count, *rest = fields
        argv, variables = rest[: int(count)], rest[int(count) :]
        environment = dict(variable.split(b"=", 1) for variable in variables)
        master = -1
        standard = list(passed)
        if terminal:
            master, slave = _open_terminal(terminal)
            passed.append(slave)
            standard = [slave] * 3
        heard, report = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            for fd in (heard, report, *([master] if terminal else [])):
                os.close(fd)
            raise
        if pid == 0:
            _become(argv, environment, directory, standard, bool(terminal), self._enter, report)
        os.close(report)
        failure = os.read(heard, 8)
        os.close(heard)
        if failure:
            os.waitpid(pid, 0)
            if terminal:
                os.close(master)
            error, stage = struct.unpack("ii", failure)
            return error, stage, -1
        self._running.add(pid)
        return 0, pid, master

    def _adopt(self, pid: int) -> int:
        """From now on it is as if we had started this child of ours, which has not been buried yet."""
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        self._running.add(pid)
        return pid

    def _signal(self, pid: int, number: int) -> None:
        if pid in self._running:
            os.killpg(pid, number)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                self._bury(pid, os.waitstatus_to_exitcode(status))

    def _bury(self, pid: int, code: int) -> None:
        self._running.remove(pid)
        self._reply(EVENT, pid, code)


def _open_terminal(size: bytes) -> tuple[int, int]:
    columns, rows = size.split()
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
    return master, slave


def _become(
    argv: list[bytes],
    environment: dict[bytes, bytes],
    directory: bytes,
    standard: list[int],
    terminal: bool,
    enter: Callable[[], None],
    report: int,
) -> None:
    """Turn this fork into the program; never returns. All descriptors but 0, 1 and 2 close themselves."""
    stage = AT_DIRECTORY
    try:
        os.setsid()
        for number, fd in enumerate(standard):
            os.dup2(fd, number)
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        enter()
        os.chdir(directory)
        stage = AT_PROGRAM
        os.execvpe(argv[0], argv, environment)  # noqa: S606
    except OSError as error:
        os.write(report, struct.pack("ii", error.errno or errno.EIO, stage))
    finally:
        os._exit(127)


def _dial(port: int) -> int:
    """A socket that is connecting; the host waits for it, so that nobody else has to."""
    dialled = _socket.socket(
        _socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
    )
    error = dialled.connect_ex(("127.0.0.1", port))
    if error not in (0, errno.EINPROGRESS):
        dialled.close()
        raise OSError(error, os.strerror(error))
    return dialled.detach()


def listen(port: int) -> int:
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener.detach()


def open_file(path: bytes, flags: int) -> int:
    """Not blocking, so that a FIFO or a leased file that the agent left there cannot hold us."""
    if flags & os.O_CREAT:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 (`pathlib` is slow to load)
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o644)
