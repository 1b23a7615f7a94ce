"""The kernel and its Python worker with modules loaded, for a zygote: `load` is done once, for all sandboxes.

Each worker, the first one and those that follow, is a fork of the kernel, which runs no cell itself.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from innkeeper.services.code_interpreter.inside import kernel, python_worker
    from innkeeper.services.code_interpreter.inside.python_worker import Interpreter
else:  # they lie beside this program
    import python_worker

    import kernel

_LOOK_SECONDS = 0.005


class Fork:
    """A process that runs a function with the first two descriptors, until it returns; it has the others for
    what it prints. Otherwise like `subprocess.Popen`, as far as a kernel needs it."""

    def __init__(
        self, serve: Callable[[int, int], None], requests: int, replies: int, out: int, err: int
    ) -> None:
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _apart(requests, replies, out, err)
                serve(requests, replies)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            finally:
                os._exit(0)

    def poll(self) -> int | None:
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and timeout is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a fork", timeout)
            time.sleep(_LOOK_SECONDS)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def load(imports: Sequence[str]) -> Callable[[], None]:
    """What a process of it runs once it is in its sandbox."""
    interpreter = python_worker.prepare()
    interpreter.answer({"imports": [*imports]})
    interpreter.display.take()
    return partial(kernel.main, partial(Fork, partial(_serve, interpreter)))


def _serve(interpreter: Interpreter, requests: int, replies: int) -> None:
    interpreter.settle({})
    python_worker.serve(interpreter, requests, replies)


def _apart(requests: int, replies: int, out: int, err: int) -> None:
    """As a program is started: nothing is left of what was the kernel's."""
    os.setsid()
    kernel.die_with_kernel()
    null = os.open(os.devnull, os.O_RDWR)
    for number, fd in enumerate((null, out, err)):
        os.dup2(fd, number)
    low, high = sorted((requests, replies))
    os.closerange(3, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
