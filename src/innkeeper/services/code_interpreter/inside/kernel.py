"""Runs cells of one language inside a sandbox: `kernel.py python PROGRAM...` or `kernel.py node PROGRAM...`.

Each line on stdin is a request, `{"code", "typescript", "clear", "timeout"}`; each line on stdout answers
one: `{"stdout", "stderr", "items", "exitCode", "milliseconds", "lost"}`, where `lost` says why the variables
are gone, if they are. Times in seconds unless named otherwise. A request with `stream` gets what is printed
meanwhile in lines of its own, `{"stdout", "stderr"}`; other members are for the worker. Two kinds of lines
have no answer: `"interrupt"`, and `{"settle": {NAME: VALUE}}`, between cells, which adds to the environment.

What is between us and the host may hand us a line, a socket that comes as SCM_RIGHTS to the abstract Unix
socket `line-PID`: until it ends, it is what stdin and stdout are otherwise.

The cells run in a worker, a process of its own. What it and its children print is read from real pipes, so a
C extension's output counts too, and its death, its silence and its floods are told as results.

Standard library only, on any Python from 3.10.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

OUTPUT_MAX_BYTES = 500_000
REPLY_MAX_BYTES = 32_000_000
_REQUEST_MAX_BYTES = 1 << 30  # the host has bounded them
INTERRUPT_GRACE_SECONDS = 2.0
_LOOK_SECONDS = 0.1
_CALM_SECONDS = 0.002
_CHUNK_BYTES = 65_536
_CHUNKS_AT_ONCE = 64  # a flood must not keep us from looking at the clock
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def die_with_kernel() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


class Output:
    """What comes out of a pipe: the first part is kept, the rest only counted."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._kept = bytearray()
        self._dropped = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        os.set_blocking(fd, False)

    def read(self) -> bool:
        """False at the end."""
        for _ in range(_CHUNKS_AT_ONCE):
            try:
                chunk = os.read(self.fd, _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                return False
            room = OUTPUT_MAX_BYTES - len(self._kept)
            self._kept += chunk[:room]
            self._dropped += max(0, len(chunk) - room)
            if len(chunk) < _CHUNK_BYTES:
                break
        return True

    def take(self, last: bool = True) -> str:
        """Unless it is the `last`, half of a character stays for the next."""
        text = self._decoder.decode(bytes(self._kept), last)
        if self._dropped:
            text += f"\n[output truncated: {self._dropped} more bytes were dropped]\n"
        self._kept, self._dropped = bytearray(), 0
        return text


class Lines:
    """Whole lines out of a pipe that may give parts of them."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd = fd
        self._limit = limit
        self._rest = bytearray()
        os.set_blocking(fd, False)

    def read(self) -> list[bytes]:
        """Raises EOFError at the end, or when a line is too long."""
        for count in range(_CHUNKS_AT_ONCE):
            try:
                chunk = os.read(self.fd, _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk and count:
                break  # what came before the end is not lost
            if not chunk or len(self._rest) > self._limit:
                raise EOFError
            self._rest += chunk
            if len(chunk) < _CHUNK_BYTES:
                break
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        return [bytes(line) for line in lines]


class Hired(Protocol):
    """What is needed of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


Hire = Callable[[int, int, int, int], Hired]
"""Starts a worker with descriptors for its requests, its replies, what it prints, and its complaints."""


def program(*argv: str) -> Hire:
    """One that is a program, which is told the first two behind its other arguments."""

    def hire(requests: int, replies: int, out: int, err: int) -> Hired:
        return subprocess.Popen(
            [*argv, str(requests), str(replies)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=(requests, replies),
            start_new_session=True,
            preexec_fn=die_with_kernel,
        )

    return hire


class Worker:
    """The process that runs the cells, in a session of its own, with two pipes beside its output."""

    def __init__(self, hire: Hire) -> None:
        requests, self.request = os.pipe()
        (reply, replies), (out, to_out), (err, to_err) = (os.pipe() for _ in range(3))
        self.process = hire(requests, replies, to_out, to_err)
        for fd in (requests, replies, to_out, to_err):
            os.close(fd)
        self.replies = Lines(reply, REPLY_MAX_BYTES)
        self.outputs = (Output(out), Output(err))

    def signal(self, number: int) -> None:
        """To the worker and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def kill(self) -> int:
        """Its exit code, or minus the signal's number."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_LOOK_SECONDS)  # it may be ending by itself: then that is its exit code
        self.signal(signal.SIGKILL)
        self.process.kill()
        code = self.process.wait()
        for output in self.outputs:
            output.read()
        return code

    def close(self) -> None:
        for fd in (self.request, self.replies.fd, *(output.fd for output in self.outputs)):
            os.close(fd)


class Cell:
    """The request that runs now."""

    def __init__(self, timeout: float, stream: bool) -> None:
        self.started = time.monotonic()
        self.deadline = self.started + timeout
        self.timeout = timeout
        self.stream = stream
        self.reason = ""  # why it was interrupted


class Kernel:
    """`serve` answers requests until stdin ends."""

    def __init__(self, hire: Hire, replies: int) -> None:
        self._new = hire
        self._replies = replies
        self._requests = Lines(0, _REQUEST_MAX_BYTES)
        self._line: Lines | None = None
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._door.bind(f"\0line-{os.getpid()}")
        self._door.listen()
        self._waiting: list[bytes] = []
        self._cell: Cell | None = None
        self._selector = selectors.DefaultSelector()
        self._calm = selectors.DefaultSelector()  # for all but what is printed
        for fd in (self._requests.fd, self._door.fileno()):
            self._listen(fd)
        self._worker = self._hire()

    def serve(self) -> None:
        with contextlib.suppress(EOFError):
            while True:
                self._turn()
        self._worker.signal(signal.SIGKILL)

    def _turn(self) -> None:
        ready = self._ready()
        for output in self._worker.outputs:
            if output.fd in ready and not output.read():
                time.sleep(_LOOK_SECONDS / 10)  # closed by the cell: stays readable for ever
        if self._cell is not None and self._cell.stream:
            self._pass_on()
        if self._worker.replies.fd in ready:
            self._hear_worker()
        if self._requests.fd in ready:
            self._do(self._requests.read())
        if self._line is not None and self._line.fd in ready:
            self._hear_line(self._line)
        if self._door.fileno() in ready:
            self._take_line()
        self._look_at_clock()
        if not ready and self._cell is not None and self._worker.process.poll() is not None:
            self._lose("")  # a child that it left behind keeps its pipes open

    def _ready(self) -> set[int]:
        """What there is to hear. A short cell is over before what it prints need be heard: its pipes have
        room for that, and to wake up for it would take as long as the cell."""
        selector, seconds = self._selector, _LOOK_SECONDS if self._cell else None
        if self._cell is not None and time.monotonic() < self._cell.started + _CALM_SECONDS:
            selector, seconds = self._calm, _CALM_SECONDS
        return {key.fd for key, _ in selector.select(seconds)}

    def _hear_line(self, line: Lines) -> None:
        try:
            heard = line.read()
        except (EOFError, OSError):
            self._hang_up()
        else:
            self._do(heard)

    def _take_line(self) -> None:
        self._hang_up()
        with contextlib.suppress(OSError):  # it may be somebody who has nothing for us
            connection, _ = self._door.accept()
            with connection:
                connection.settimeout(_LOOK_SECONDS)
                _, fds, _, _ = socket.recv_fds(connection, 1, 1, socket.MSG_CMSG_CLOEXEC)
            for fd in fds:
                self._line = Lines(fd, _REQUEST_MAX_BYTES)
                self._listen(fd)

    def _hang_up(self) -> None:
        if self._line is not None:
            self._ignore(self._line.fd)
            os.close(self._line.fd)
            self._line = None

    def _do(self, requests: list[bytes]) -> None:
        for line in requests:
            request = json.loads(line)
            if request == "interrupt":
                self._interrupt("interrupted")
            elif "settle" in request:
                os.environ.update(request["settle"])  # for the workers that may follow
                self._tell(line)
            else:
                self._start(request, line)

    def _start(self, request: dict[str, Any], line: bytes) -> None:
        if request["clear"]:
            self._restart()
        self._cell = Cell(request["timeout"], request.get("stream", False))
        self._tell(line)

    def _tell(self, line: bytes) -> None:
        rest = memoryview(line + b"\n")
        with contextlib.suppress(BrokenPipeError):  # its end is heard from its replies
            while rest:
                rest = rest[os.write(self._worker.request, rest) :]

    def _hear_worker(self) -> None:
        try:
            replies = [json.loads(line) for line in self._worker.replies.read()]
        except (EOFError, ValueError):
            self._lose("")
            return
        for reply in replies:
            if self._cell is not None:
                note = f"{self._cell.reason}: the cell was interrupted; variables are kept\n"
                self._answer(reply["items"], reply["exitCode"], note if self._cell.reason else "")

    def _look_at_clock(self) -> None:
        cell = self._cell
        if cell is None or time.monotonic() < cell.deadline:
            return
        if cell.reason:
            self._lose(f"{cell.reason}, and an interrupt did not end the cell")
        else:
            self._interrupt(f"timed out after {cell.timeout:g} s")

    def _interrupt(self, reason: str) -> None:
        if self._cell is not None and not self._cell.reason:
            self._cell.reason = reason
            self._cell.deadline = time.monotonic() + INTERRUPT_GRACE_SECONDS
            self._worker.signal(signal.SIGINT)

    def _lose(self, reason: str) -> None:
        """The worker is gone, or has to go."""
        code = self._worker.kill()
        if self._cell is not None:
            reason = reason or self._cell.reason or _cause(code)
            lost = f"{reason}: the interpreter was restarted and all variables are lost"
            self._answer([], code if code else 1, f"{lost}\n", lost)
        self._restart()

    def _restart(self) -> None:
        self._worker.kill()
        self._ignore(self._worker.replies.fd)
        for output in self._worker.outputs:
            self._selector.unregister(output.fd)
        self._worker.close()
        self._worker = self._hire()

    def _hire(self) -> Worker:
        worker = Worker(self._new)
        self._listen(worker.replies.fd)
        for output in worker.outputs:
            self._selector.register(output.fd, selectors.EVENT_READ)
        return worker

    def _listen(self, fd: int) -> None:
        for selector in (self._selector, self._calm):
            selector.register(fd, selectors.EVENT_READ)

    def _ignore(self, fd: int) -> None:
        for selector in (self._selector, self._calm):
            selector.unregister(fd)

    def _pass_on(self) -> None:
        out, err = (output.take(last=False) for output in self._worker.outputs)
        if out or err:
            self._send({"stdout": out, "stderr": err})

    def _answer(self, items: list[Any], code: int, note: str, lost: str = "") -> None:
        assert self._cell is not None
        for output in self._worker.outputs:
            output.read()
        out, err = (output.take() for output in self._worker.outputs)
        answer = {
            "stdout": out,
            "stderr": err + note,
            "items": items,
            "exitCode": code or (1 if note else 0),
            "milliseconds": (time.monotonic() - self._cell.started) * 1000,
            "lost": lost,
        }
        self._cell = None
        self._send(answer)

    def _send(self, message: dict[str, Any]) -> None:
        rest = memoryview(json.dumps(message).encode() + b"\n")
        while rest:
            fd = self._line.fd if self._line else self._replies
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                select.select((), (fd,), ())
            except OSError:
                if self._line is None:
                    raise
                self._hang_up()  # what has not got through goes the other way


def _cause(code: int) -> str:
    if code < 0:
        hint = " (was it out of memory?)" if -code == signal.SIGKILL else ""
        return f"the interpreter was killed by {signal.Signals(-code).name}{hint}"
    return f"the interpreter ended with exit code {code}"


def main(hire: Hire) -> None:
    replies = os.dup(1)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Kernel(hire, replies).serve()


if __name__ == "__main__":
    main(program(*sys.argv[1:]))
