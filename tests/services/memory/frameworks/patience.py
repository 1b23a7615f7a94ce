"""Waiting for what a server does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

_PATIENCE_SECONDS = 90

Answer = TypeVar("Answer")


def eventually(ask: Callable[[], Answer]) -> Answer:
    """The first answer that holds something."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer
