"""Process 1 of a gVisor sandbox: the guest agent of `engines/sandbox/guest.py`, where no descriptor crosses.

Where that one hands a descriptor to the host, or gets one, this one connects to a *door*, a listening Unix
socket of the host that the request names, and carries the bytes. It is root in the sandbox, which is nobody
on the host, so that the agent's code, under another user, can neither signal nor look into it, nor reach the
doors. A file is sent as frames: a 32-bit length and the data, then 0, or minus an errno. One that is received
is answered with an errno or 0.
"""

from __future__ import annotations

import _socket
import _thread
import ctypes
import errno
import fcntl
import os
import resource
import select
import stat
import struct
import sys
import termios

from innkeeper.engines.sandbox.guest import Guest, listen, open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

AGENT = 1000
DOORS = "/run/innkeeper/doors"
FILTER = "/run/innkeeper/filter"
STATUS = struct.Struct("!i")
CHUNK_BYTES = 65_536

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

    def __init__(self, control: _socket.socket, processes: int, open_files: int, program: bytes) -> None:
        super().__init__(control)
        self._filter = _Filter(len(program) // _INSTRUCTION_BYTES, program)
        self._processes = processes
        self._open_files = open_files
        self._terminals: dict[int, int] = {}
        self._shown: dict[int, int] = {}
        # Who we are is the same for all threads: none may knock while the agent's rights are tried.
        self._identity = _thread.allocate_lock()

    def _do(self, operation: bytes, request: int, fields: list[bytes], passed: list[int]) -> None:
        if operation == b"exec":
            self._reply(request, *self._start(*fields))
        elif operation == b"dial":
            _in_thread(self._dial, request, self._knock(fields[0]), int(fields[1]))
        elif operation == b"listen":
            _in_thread(self._relay, fields[0], listen(int(fields[1])))
            self._reply(request, 0, 0)
        elif operation in (b"read", b"write"):
            self._transfer(operation == b"read", fields[0], fields[1])
            self._reply(request, 0, 0)
        elif operation == b"resize":
            self._resize(*map(int, fields))
            self._reply(request, 0, 0)
        elif operation == b"count":
            self._reply(request, 0, _count())
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

    def _knock(self, door: bytes) -> int:
        """A connection to the door of this name."""
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            with self._identity:
                connection.connect(f"{DOORS}/{door.decode()}")
        except OSError:
            connection.close()
            raise
        return connection.detach()

    def _start(self, door: bytes, terminal: bytes, *rest: bytes) -> tuple[int, int]:
        # Processes that root begins do not count against the agent's limit, so we do.
        if _count() >= self._processes:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        doors = [self._knock(door) for _ in range(1 if terminal else 3)]
        pipes = [] if terminal else [os.pipe() for _ in range(3)]
        theirs = [ends[number > 0] for number, ends in enumerate(pipes)]
        ours = [ends[number == 0] for number, ends in enumerate(pipes)]
        try:
            error, value, master = self._exec([terminal, *rest], theirs.copy())
        except OSError:
            for fd in (*doors, *ours):
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        if error:
            for fd in (*doors, *ours):
                os.close(fd)
        elif terminal:
            ended, self._shown[value] = os.pipe()
            self._terminals[value] = master
            _in_thread(_show, os.dup(master), os.dup(doors[0]), ended)
            _in_thread(self._type, value, doors[0])
        else:
            _in_thread(_pour, doors[0], ours[0])
            for source, sink in zip(ours[1:], doors[1:]):  # noqa: B905 (Python 3.9 has no `strict`)
                _in_thread(_pour, source, sink)
        return error, value

    def _bury(self, pid: int, code: int) -> None:
        super()._bury(pid, code)
        if pid in self._shown:
            os.close(self._shown.pop(pid))

    def _type(self, pid: int, door: int) -> None:
        """Once the host has left the terminal, it is hung up."""
        _pour(door, os.dup(self._terminals[pid]))
        try:
            self._signal(pid, _signal.SIGHUP)
        finally:
            os.close(self._terminals.pop(pid))

    def _resize(self, pid: int, columns: int, rows: int) -> None:
        if pid in self._terminals:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self._terminals[pid], termios.TIOCSWINSZ, size)
            _announce(pid)

    def _dial(self, request: int, door: int, port: int) -> None:
        inside = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            inside.connect(("127.0.0.1", port))
            # A port that nobody listens on can be met by a socket that was given the same one.
            if inside.getsockname() == inside.getpeername():
                raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        except OSError as error:
            os.close(door)
            inside.close()
            self._reply(request, error.errno or errno.EIO, 0)
            return
        inside.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        _join(inside.detach(), door)
        self._reply(request, 0, 0)

    def _relay(self, door: bytes, listener: int) -> None:
        accepting = _socket.socket(fileno=listener)
        while True:
            with _Tolerant():  # the client may have left at once: that does not end the relay
                inside, _ = accepting._accept()  # type: ignore[attr-defined]
                self._let_out(inside, door)

    def _let_out(self, inside: int, door: bytes) -> None:
        try:
            outside = self._knock(door)
        except OSError:
            os.close(inside)
            raise
        _join(inside, outside)

    def _transfer(self, reading: bool, door: bytes, path: bytes) -> None:
        file = self._open(path, os.O_RDONLY if reading else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            connection = self._knock(door)
        except OSError:
            os.close(file)
            raise
        _in_thread(_send_file if reading else _receive_file, file, connection)

    def _open(self, path: bytes, flags: int) -> int:
        """With the agent's rights."""
        with self._identity:
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


class _Tolerant:
    """`contextlib.suppress(OSError)`, without the time that `contextlib` takes to load."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


def _in_thread(work: object, *arguments: object) -> None:
    _thread.start_new_thread(work, arguments)  # type: ignore[call-overload]


def _count() -> int:
    """Processes but this one."""
    return sum(name.isdigit() for name in os.listdir("/proc")) - 1  # noqa: PTH208


def _announce(session: int) -> None:
    """Tell its processes that their terminal has another size: gVisor does not."""
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with _Tolerant():
            if os.getsid(int(name)) == session:
                os.kill(int(name), _signal.SIGWINCH)


def _join(one: int, other: int) -> None:
    """Carry both ways; each way ends by itself."""
    _in_thread(_pour, os.dup(one), os.dup(other))
    _in_thread(_pour, other, one)


def _pour(source: int, sink: int) -> None:
    """Carry everything from `source` to `sink`; both are closed then."""
    try:
        while data := os.read(source, CHUNK_BYTES):
            _write_all(sink, data)
    except OSError:
        pass  # one of them has broken off: so does the other
    _leave(source, _socket.SHUT_RD)
    _leave(sink, _socket.SHUT_WR)


def _show(terminal: int, door: int, ended: int) -> None:
    """Carry what a terminal shows until its program has `ended`: nothing else tells, here."""
    poll = select.poll()
    for fd in (terminal, ended):
        poll.register(fd, select.POLLIN)
    with _Tolerant():
        while dict(poll.poll()).get(terminal, 0) & select.POLLIN:
            _write_all(door, os.read(terminal, CHUNK_BYTES))
    os.close(ended)
    os.close(terminal)
    _leave(door, _socket.SHUT_WR)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _leave(fd: int, how: int) -> None:
    """Close it; if it is a socket, end this way of it for those who share it too."""
    if stat.S_ISSOCK(os.fstat(fd).st_mode):
        connection = _socket.socket(fileno=fd)
        with _Tolerant():
            connection.shutdown(how)
        connection.close()
    else:
        os.close(fd)


def _send_file(file: int, door: int) -> None:
    try:
        end = 0
        while True:
            try:
                data = os.read(file, CHUNK_BYTES)
            except OSError as error:
                end, data = -(error.errno or errno.EIO), b""
            _write_all(door, STATUS.pack(len(data) or end) + data)
            if not data:
                return
    except OSError:
        pass  # the host has seen enough
    finally:
        os.close(file)
        os.close(door)


def _receive_file(file: int, door: int) -> None:
    failure = 0
    while data := os.read(door, CHUNK_BYTES):
        try:
            if not failure:
                _write_all(file, data)
        except OSError as error:
            failure = error.errno or errno.EIO
    os.close(file)
    try:
        _write_all(door, STATUS.pack(failure))
    finally:
        os.close(door)


def _hide() -> None:
    """What the sandbox has that is not the agent's: this process, and what no agent needs."""
    libc = ctypes.CDLL(None)
    if libc.mount(b"none", b"/proc/1", b"tmpfs", _MS_RDONLY, b"mode=0555") or libc.umount2(
        b"/sys", _MNT_DETACH
    ):
        sys.exit("cannot make the guest agent private")
    for device in _UNNEEDED_DEVICES:
        with _Tolerant():
            os.unlink(device)  # noqa: PTH108 (`pathlib` is slow to load)


def main() -> None:
    processes, open_files = map(int, sys.argv[1:])
    control = _socket.socket(fileno=os.dup(0))
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
    GvisorGuest(control, processes, open_files, program).serve()
