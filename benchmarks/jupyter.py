"""A Jupyter kernel on the bare machine, through `jupyter_client`: the code interpreter's peer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

_ANSWER_SECONDS = 60.0


class Jupyter:
    def __init__(self, client: Any) -> None:
        self._client = client

    def milliseconds(self, code: str) -> float:
        """From sending a cell until its answer is here and the kernel says that it is idle."""
        began = time.perf_counter()
        self._client.execute_interactive(code, timeout=_ANSWER_SECONDS, output_hook=lambda _: None)
        return (time.perf_counter() - began) * 1e3


@contextmanager
def kernel() -> Iterator[Jupyter]:
    """A new kernel on this Python, until the end of the block."""
    manager, client = import_module("jupyter_client.manager").start_new_kernel(
        startup_timeout=_ANSWER_SECONDS
    )
    try:
        yield Jupyter(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
