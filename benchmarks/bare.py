"""An agent as a plain process of this machine: what Innkeeper is compared with."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.client import Connection, Request
from innkeeper.services.builder.dependencies import PACKAGES_FOLDER

PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.002


@contextlib.contextmanager
def agent(code: Path, arguments: Sequence[str] = ("main.py",)) -> Iterator[Connection]:
    """A connection to the agent in a folder of prepared code, as soon as there can be one.

    `arguments` are the interpreter's; the program finds its port in the variable PORT.
    """
    port = _free_port()
    process = subprocess.Popen(
        [PYTHON, *arguments],
        cwd=code,
        env={
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "PYTHONPATH": f"{code}:{code / PACKAGES_FOLDER}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_listens(process, port)
        with Connection("127.0.0.1", port) as connection:
            yield connection
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def seconds_to_first_answer(code: Path, arguments: Sequence[str], request: Request) -> float:
    """From the start of the process to the end of its first answer."""
    began = time.perf_counter()
    with agent(code, arguments) as connection:
        connection.seconds(request)
        return time.perf_counter() - began


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the bare agent did not come up: {process.args!r}")
        time.sleep(_LOOK_SECONDS)
