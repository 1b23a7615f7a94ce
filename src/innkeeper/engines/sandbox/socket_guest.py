"""The guest agent of a sandbox into which descriptors can be sent: over the control socket.

It has no privileges. It holds the one way out of the sandbox, so the code that runs beside it under the same
user must not reach its memory or descriptors: it is not dumpable.
"""

from __future__ import annotations

import _socket  # `socket` and `signal` load `enum` and `re`: a third of the time a sandbox takes to start
import ctypes
import errno
import os
import resource
import struct
import sys

from innkeeper.engines.sandbox.guest import REPLY, REQUEST_MAX_BYTES, Guest
from innkeeper.engines.sandbox.landlock import enclose

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

_PR_SET_DUMPABLE = 4
# The kernel counts these for all sandboxes of a server together, so none may take them all: pending signals,
# of which each timer holds one, and bytes in POSIX message queues.
_SHARED = ((resource.RLIMIT_SIGPENDING, 4096), (resource.RLIMIT_MSGQUEUE, 0))


class SocketGuest(Guest):
    """Over the control socket, which carries descriptors too."""

    most_passed = 3

    def __init__(self, control: _socket.socket, open_files: int) -> None:
        super().__init__(control.fileno())
        self._control = control
        self._open_files = open_files

    def _enter(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._open_files, self._open_files))

    def _reply(self, request: int, error: int, value: int, passed: int = -1) -> None:
        ancillary = []
        if passed >= 0:
            ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", passed))]
        try:
            self._control.sendmsg([REPLY.pack(request, error, value)], ancillary)
        finally:
            if passed >= 0:
                os.close(passed)

    def _answer(self) -> bool:
        """Handle one request; False when the host has closed the socket."""
        data, ancillary, _, _ = self._control.recvmsg(
            REQUEST_MAX_BYTES, _socket.CMSG_SPACE(4 * self.most_passed), _socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            return False
        passed = [number for _, _, packed in ancillary for (number,) in struct.iter_unpack("i", packed)]
        operation, number, *fields = data.split(b"\0")
        request = int(number)
        try:
            self._do(operation, request, fields, passed)
        except OSError as error:
            self._reply(request, error.errno or errno.EIO, 0)
        finally:
            for fd in passed:
                os.close(fd)
        return True


def _leave_to_others() -> None:
    for limit, most in _SHARED:
        _, hard = resource.getrlimit(limit)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))


def control_socket(inherited: int) -> _socket.socket:
    control = _socket.socket(fileno=inherited)
    os.set_inheritable(control.fileno(), False)
    return control


def begin() -> None:
    """As every program of a sandbox begins."""
    # What the server ignores, because of Python or of who started it (nohup), programs here do not.
    for ignored in _signal.valid_signals():
        if ignored == _signal.SIGINT or _signal.getsignal(ignored) is _signal.SIG_IGN:
            _signal.signal(ignored, _signal.SIG_DFL)
    os.umask(0o022)
    _leave_to_others()


def main() -> None:
    """`CONTROL OPEN_FILES apart|among WRITABLE...`; see `enclose` for what `apart` is."""
    inherited, open_files, bounds, *writable = sys.argv[1:]
    control = control_socket(int(inherited))
    begin()
    guest = SocketGuest(control, int(open_files))
    if ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        sys.exit("cannot make the guest agent private")
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(null, number)
    enclose(writable, scoped=bounds == "apart")
    guest.serve()
