"""Process 1 of a gVisor sandbox: the guest agent of `engines/sandbox/guest.py`, where no descriptor crosses.

The host's words, and the streams of processes, come and go over two pipes (`guest_wire.py`); connections and
files through doors (`guest_doors.py`). It is root in the sandbox, which is nobody on the host, so that the
agent's code, under another user, can neither signal nor look into it, nor reach the pipes and doors.
"""

from __future__ import annotations

import _socket
import _thread
import ctypes
import errno
import fcntl
import os
import resource
import stat
import struct
import sys
import termios

from innkeeper.engines.sandbox.guest import REPLY, REQUEST_MAX_BYTES, Guest, listen, open_file
from innkeeper.engines.sandbox.gvisor.guest_doors import AGENT, Doors, Tolerant, in_thread
from innkeeper.engines.sandbox.gvisor.guest_streams import Streams
from innkeeper.engines.sandbox.gvisor.guest_wire import CALL, DROP, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

FILTER = "/run/innkeeper/filter"

_STACK_BYTES = 262_144
_PR_CAPBSET_DROP = 24
_CAPABILITIES = 41
_MS_RDONLY = 1
_MNT_DETACH = 2
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_INSTRUCTION_BYTES = 8
_UNNEEDED_DEVICES = ("/dev/fuse", "/dev/net/tun")


class _Filter(ctypes.Structure):
    """`struct sock_fprog` of seccomp(2)."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


class GvisorGuest(Guest):
    """`processes` and `open_files` are what the agent may have at most, `program` filters its calls."""

    def __init__(self, wire: Wire, processes: int, open_files: int, program: bytes) -> None:
        super().__init__(wire.heard)
        self._wire = wire
        self._filter = _Filter(len(program) // _INSTRUCTION_BYTES, program)
        self._processes = processes
        self._open_files = open_files
        self._streams = Streams(wire, self._poll)
        self._doors = Doors()
        # Of each process with a terminal: our end of that, and the number of what it shows.
        self._terminals: dict[int, tuple[int, int]] = {}

    def _answer(self) -> bool:
        if not self._wire.receive():
            return False
        while frame := self._wire.take():
            kind, number, amount, data = frame
            if kind == CALL:
                self._call(data)
            else:
                self._streams.receive(kind, number, amount, data)
            if kind == DROP:
                self._hang_up(number)
        return True

    def _call(self, data: bytes) -> None:
        operation, number, *fields = data.split(b"\0")
        try:
            self._do(operation, int(number), fields, [])
        except OSError as error:
            self._reply(int(number), error.errno or errno.EIO, 0)

    def _reply(self, request: int, error: int, value: int, passed: int = -1) -> None:
        self._wire.send(CALL, 0, REPLY.pack(request, error, value))

    def _carry(self, ready: int) -> None:
        self._streams.carry(ready)

    def _do(self, operation: bytes, request: int, fields: list[bytes], passed: list[int]) -> None:
        if operation == b"exec":
            self._reply(request, *self._start(int(fields[0]), *fields[1:]))
        elif operation == b"dial":
            in_thread(self._dial, request, self._doors.knock(fields[0]), int(fields[1]))
        elif operation == b"listen":
            in_thread(self._relay, fields[0], listen(int(fields[1])))
            self._reply(request, 0, 0)
        elif operation == b"line":
            self._doors.hand(fields[0], b"\0line-" + fields[1])
            self._reply(request, 0, 0)
        elif operation in (b"read", b"write"):
            self._transfer(operation == b"read", fields[0], fields[1])
            self._reply(request, 0, 0)
        elif operation == b"resize":
            self._resize(*map(int, fields))
            self._reply(request, 0, 0)
        elif operation == b"count":
            self._reply(request, 0, _count())
        elif operation == b"quiesce":
            self._quiesce(request)
        elif operation == b"continue":
            self._reply(request, 0, 0)  # the host gave up on a snapshot that had not begun
        else:
            super()._do(operation, request, fields, passed)

    def _enter(self) -> None:
        if os.isatty(0):
            os.fchown(0, AGENT, AGENT)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._open_files, self._open_files))
        resource.setrlimit(resource.RLIMIT_NPROC, (self._processes, self._processes))
        prctl = ctypes.CDLL(None).prctl
        for capability in range(_CAPABILITIES):
            prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.setgroups([AGENT])
        os.setresgid(AGENT, AGENT, AGENT)
        os.setresuid(AGENT, AGENT, AGENT)
        if prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(self._filter)) != 0:
            raise OSError(errno.EPERM, "no filter")

    def _start(self, number: int, terminal: bytes, *rest: bytes) -> tuple[int, int]:
        """The streams of the process are `number` and those that follow."""
        # Processes that root begins do not count against the agent's limit, so we do.
        if _count() >= self._processes:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        pipes = [] if terminal else [os.pipe() for _ in range(3)]
        theirs = [ends[offset > 0] for offset, ends in enumerate(pipes)]
        ours = [ends[offset == 0] for offset, ends in enumerate(pipes)]
        try:
            error, value, master = self._exec([terminal, *rest], theirs.copy())
        except OSError:
            _close(ours)
            raise
        finally:
            _close(theirs)
        if error:
            _close(ours)
            return error, value
        if terminal:
            ours = [os.dup(master), os.dup(master)]
            self._terminals[value] = master, number + 1
        self._streams.let_in(number, ours[0])
        for offset, fd in enumerate(ours[1:], 1):
            self._streams.let_out(number + offset, fd)
        return error, value

    def _bury(self, pid: int, code: int) -> None:
        super()._bury(pid, code)
        if pid in self._terminals:
            master, shown = self._terminals.pop(pid)
            self._streams.close(shown - 1)
            self._streams.end(shown)
            os.close(master)

    def _hang_up(self, number: int) -> None:
        """The host wants no more of this stream; if it left a terminal, its processes learn that."""
        for pid, (master, shown) in list(self._terminals.items()):
            if shown == number:
                del self._terminals[pid]
                self._streams.close(shown - 1)
                os.close(master)
                self._signal(pid, _signal.SIGHUP)

    def _resize(self, pid: int, columns: int, rows: int) -> None:
        if pid in self._terminals:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self._terminals[pid][0], termios.TIOCSWINSZ, size)
            _announce(pid)

    def _quiesce(self, request: int) -> None:
        """Stand still without a connection to the host, until it says that we go on: as the sandbox that
        was, or as another one that began as its copy."""
        with self._doors.identity:
            if not self._doors.break_off():
                self._reply(request, errno.EBUSY, 0)
                return
            self._reply(request, 0, 0)
            while (frame := self._wire.take()) is None:
                if not self._wire.receive():
                    sys.exit("the host left")
        operation, number, *_ = frame[3].split(b"\0")
        self._reply(int(number), 0, 0)
        if operation == b"restored":
            self._streams.begin_anew()

    def _dial(self, request: int, door: int, port: int) -> None:
        inside = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            inside.connect(("127.0.0.1", port))
            # A port that nobody listens on can be met by a socket that was given the same one.
            if inside.getsockname() == inside.getpeername():
                raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        except OSError as error:
            inside.close()
            self._reply(request, error.errno or errno.EIO, 0)
            self._doors.leave(door)
            return
        inside.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._doors.join(inside.detach(), door)
        self._reply(request, 0, 0)

    def _relay(self, door: bytes, listener: int) -> None:
        accepting = _socket.socket(fileno=listener)
        while True:
            with Tolerant():  # the client may have left at once: that does not end the relay
                inside, _ = accepting._accept()  # type: ignore[attr-defined]
                self._let_out(inside, door)

    def _let_out(self, inside: int, door: bytes) -> None:
        try:
            outside = self._doors.knock(door)
        except OSError:
            os.close(inside)
            raise
        self._doors.join(inside, outside)

    def _transfer(self, reading: bool, door: bytes, path: bytes) -> None:
        file = self._open(path, os.O_RDONLY if reading else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            connection = self._doors.knock(door)
        except OSError:
            os.close(file)
            raise
        in_thread(self._doors.send_file if reading else self._doors.receive_file, file, connection)

    def _open(self, path: bytes, flags: int) -> int:
        """With the agent's rights."""
        with self._doors.identity:
            os.setegid(AGENT)
            os.seteuid(AGENT)
            try:
                file = open_file(path, flags)
            finally:
                os.seteuid(0)
                os.setegid(0)
        kind = os.fstat(file).st_mode
        if not stat.S_ISREG(kind):
            os.close(file)
            reason = errno.EISDIR if stat.S_ISDIR(kind) else errno.ENXIO
            raise OSError(reason, os.strerror(reason))
        return file


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _count() -> int:
    """Processes but this one."""
    return sum(name.isdigit() for name in os.listdir("/proc")) - 1  # noqa: PTH208


def _announce(session: int) -> None:
    """Tell its processes that their terminal has another size: gVisor does not."""
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with Tolerant():
            if os.getsid(int(name)) == session:
                os.kill(int(name), _signal.SIGWINCH)


def _hide() -> None:
    """What the sandbox has that is not the agent's: this process, and what no agent needs."""
    libc = ctypes.CDLL(None)
    if libc.mount(b"none", b"/proc/1", b"tmpfs", _MS_RDONLY, b"mode=0555") or libc.umount2(
        b"/sys", _MNT_DETACH
    ):
        sys.exit("cannot make the guest agent private")
    for device in _UNNEEDED_DEVICES:
        with Tolerant():
            os.unlink(device)  # noqa: PTH108 (`pathlib` is slow to load)


def main() -> None:
    processes, open_files = map(int, sys.argv[1:])
    heard, said = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in range(2))
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    _hide()
    for number in range(3):
        os.dup2(null, number)
    for handled in (_signal.SIGINT, _signal.SIGXFSZ):
        _signal.signal(handled, _signal.SIG_DFL)
    _signal.signal(_signal.SIGPIPE, lambda *_: None)
    os.umask(0o022)
    _thread.stack_size(_STACK_BYTES)
    with open(FILTER, "rb") as file:  # noqa: PTH123 (`pathlib` is slow to load)
        program = file.read()
    wire = Wire(heard, said, REQUEST_MAX_BYTES)
    GvisorGuest(wire, processes, open_files, program).serve()
