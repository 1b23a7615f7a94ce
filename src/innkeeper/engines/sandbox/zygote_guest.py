"""The zygote of a kind of sandbox: it has a program loaded, and forks processes of it into empty sandboxes.

It lives in the view that those sandboxes have, without a network, as a user of the host with no power over
anything but the user namespaces that were made for its children, and runs what the template holds, never what
a session brings. A child joins the sandbox (setns(2)), gives up what it has, and takes upon itself what every
process there is under; only then does it run.

Runs inside, on whatever Python >= 3.9 is visible there, and uses the standard library only.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import sys
import time
import traceback

from innkeeper.engines.sandbox.landlock import enclose
from innkeeper.engines.sandbox.socket_guest import SocketGuest, begin, control_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal

HERE, GO = b"here", b"go"
"""What a child says when it can be put into the control groups, and what it waits for."""

_DESCRIPTORS_MAX = 16
_TOLD_MAX_BYTES = 16
_PARENT_SECONDS = 10.0
_LOOK_SECONDS = 0.0002
_NEW_USERS = 0x1000_0000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_DROP_BOUND = 1, 4, 22, 24
_BY_FILTER = 2
_CAPABILITIES_VERSION = 0x2008_0522
_INSTRUCTION_BYTES = 8

_libc = ctypes.CDLL(None, use_errno=True)


class _Filter(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


class ZygoteGuest(SocketGuest):
    """Does what `fork` asks for, beside the little of `SocketGuest` that the host asks of every guest."""

    most_passed = _DESCRIPTORS_MAX

    def __init__(self, control: int, run: Callable[[], None]) -> None:
        super().__init__(control_socket(control), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._run = run

    def _do(self, operation: bytes, request: int, fields: list[bytes], passed: list[int]) -> None:
        if operation == b"fork":
            self._reply(request, 0, self._fork(fields, passed))
        else:
            super()._do(operation, request, fields, passed)

    def _fork(self, fields: list[bytes], passed: list[int]) -> int:
        """Fields: user, group, open files, working directory, count of what may be written, that,
        environment. Descriptors: the child's link to the host, its standard ones, the filter, and the
        namespaces in the order in which they are to be joined, that in whose power they are first."""
        pid = os.fork()
        if pid:
            return pid
        try:
            link, stdin, stdout, stderr, filter_, *spaces = passed
            user, group, *own = fields
            _wait_for_go(link)
            _join(spaces, int(user), int(group))
            _into_the_room()
            _take(link, (stdin, stdout, stderr), _read_all(filter_), own)
            self._run()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        finally:
            os._exit(0)


def main(library: str) -> None:
    """`CONTROL MODULE ARGUMENT...`: load the module, which says what its processes run, and serve."""
    control, module, *arguments = sys.argv[1:]
    begin()
    _give_up_rights()  # those that programs of root would inherit
    _libc.prctl(_PR_SET_PDEATHSIG, int(_signal.SIGKILL))  # again: to become another user takes it back
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_IGN)  # as Python has them
    _silence()
    rest = [path for path in sys.path if path not in ("", library)]
    sys.path[:] = [os.path.dirname(module), *rest]  # noqa: PTH120
    for name in [name for name in sys.modules if name.split(".")[0] == "innkeeper"]:
        del sys.modules[name]  # a program of that name is the session's
    loaded = importlib.import_module(os.path.basename(module).removesuffix(".py"))  # noqa: PTH119
    run: Callable[[], None] = loaded.load(arguments)
    ZygoteGuest(int(control), run).serve()


def _silence() -> None:
    """What it prints while it loads is for nobody; what keeps it from loading is."""
    complaints = os.dup(2)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(null, number)

    def complain(kind: type[BaseException], error: BaseException, _: object) -> None:
        os.write(complaints, f"{kind.__name__}: {error}".encode())

    sys.excepthook = complain


def _wait_for_go(link: int) -> None:
    os.write(link, HERE)
    if os.read(link, _TOLD_MAX_BYTES) != GO:
        os._exit(1)


def _join(spaces: list[int], user: int, group: int) -> None:
    """From the first on, whose owner we are, this process has power over the rest; at last, it has none."""
    powerful, *others = spaces
    _checked(_libc.setns(powerful, _NEW_USERS))
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    for space in others:
        _checked(_libc.setns(space, 0))
    capability = 0
    while _libc.prctl(_PR_DROP_BOUND, capability, 0, 0, 0) == 0:
        capability += 1
    _give_up_rights()


def _give_up_rights() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()))


def _into_the_room() -> None:
    """Go on as a child of the sandbox's process 1. What forks first after joining is not yet in the sandbox,
    but its child is; the child of that one loses its parent, and gets process 1 for it."""
    outside = os.fork()
    if outside:
        os.waitpid(outside, 0)
        os._exit(0)
    if os.fork():
        os._exit(0)
    deadline = time.monotonic() + _PARENT_SECONDS
    while os.getppid() != 1:
        if time.monotonic() > deadline:
            os._exit(1)
        time.sleep(_LOOK_SECONDS)


def _take(link: int, standard: tuple[int, int, int], filter_: bytes, own: list[bytes]) -> None:
    """Give up what is the zygote's, and come under what all processes of the sandbox are under."""
    open_files, directory, count, *rest = own
    writable, variables = rest[: int(count)], rest[int(count) :]
    os.setsid()
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
    os.closerange(3, link)
    os.closerange(link + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    _signal.set_wakeup_fd(-1)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    sys.excepthook = sys.__excepthook__
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(open_files), int(open_files)))
    os.environb.clear()
    os.environb.update(dict(variable.split(b"=", 1) for variable in variables))
    os.chdir(directory)
    enclose([os.fsdecode(path) for path in writable], scoped=False)
    program = _Filter(len(filter_) // _INSTRUCTION_BYTES, filter_)
    _checked(_libc.prctl(_PR_SET_SECCOMP, _BY_FILTER, ctypes.byref(program), 0, 0))
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))
    os.write(link, str(os.getpid()).encode())
    os.close(link)


def _read_all(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
