"""Random numbers that begin anew in what goes on from a copy of this process: `Seeds`.

To have NumPy seed itself takes as long as all else that a restored interpreter does before its first cell,
since it touches code that nothing else does. Until a cell has run, its generator is known, and is given other
contents in their place.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import Any

_SEED_BYTES = 32
_WRITABLE = 0x200  # PyBUF_WRITE
_WORD_BYTES = 4


class Seeds:
    def __init__(self) -> None:
        self._generator: Any = None
        self._numpy: memoryview | None = None

    def remember(self) -> None:
        """No cell has run yet."""
        with contextlib.suppress(Exception):  # there is no NumPy, or one that keeps its state elsewhere
            generator: Any = sys.modules["numpy.random"].get_bit_generator()
            state = generator.state["state"]
            known = state["key"].tobytes() + int(state["pos"]).to_bytes(_WORD_BYTES, sys.byteorder)
            place = _memory(generator.ctypes.state_address, len(known))
            if place == known:
                self._generator, self._numpy = generator, place

    def forget(self) -> None:
        """A cell runs: it may use another generator, or have the half of a pair of numbers left."""
        self._generator = self._numpy = None

    def renew(self) -> None:
        _seed("random")
        if self._numpy is None:
            _seed("numpy.random")
        else:
            words = len(self._numpy) // _WORD_BYTES - 1
            used_up = words.to_bytes(_WORD_BYTES, sys.byteorder)  # so that it makes all of them anew
            self._numpy[:] = os.urandom(words * _WORD_BYTES) + used_up
        if "ssl" in sys.modules:  # OpenSSL does not notice either that its process was copied
            with contextlib.suppress(Exception):
                sys.modules["ssl"].RAND_add(os.urandom(_SEED_BYTES), _SEED_BYTES)


def _seed(module: str) -> None:
    if module in sys.modules:
        with contextlib.suppress(Exception):  # the user may have replaced it
            sys.modules[module].seed()


def _memory(address: int, size: int) -> memoryview:
    view = ctypes.pythonapi.PyMemoryView_FromMemory
    view.restype = ctypes.py_object
    view.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
    found: memoryview = view(address, size, _WRITABLE)
    return found
