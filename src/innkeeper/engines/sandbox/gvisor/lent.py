"""A file that a sentry has been lent for its memory, or will be, and what lies in it."""

import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

from innkeeper.engines.sandbox.child import ChildProcess

Places = tuple[tuple[int, int], ...]
"""From which byte of a file to which, in order."""
_PLACES_MAX = 64

# To be run with a file as input, and where memory begins and ends in it. A sentry empties the file when it
# gets it. One that has it already finds the memory there; another gives it back, but what was given back just
# now is had again at once, where a virtual machine may have to ask its host for other memory.
_FILL = """
import mmap, os, sys
ends = [*map(int, sys.argv[1:])]
os.ftruncate(0, max(ends[-1], os.fstat(0).st_size))
for start, end in zip(ends[::2], ends[1::2]):
    mmap.mmap(0, end - start, offset=start).madvise(23)  # MADV_POPULATE_WRITE
"""


class Lent:
    """Ours until it is known how the sentry filled it, or to the end of its `belongings`."""

    def __init__(self, file: int, belongings: AsyncExitStack) -> None:
        self._file = file
        self._belongings = belongings
        belongings.callback(self._let_go)

    async def fill(self, places: Places, entering: Sequence[str]) -> None:
        """Have memory there, on the account of the cgroups that the command is `entering`."""
        ends = [str(end) for place in places for end in place]
        filling = ChildProcess([*entering, sys.executable, "-I", "-S", "-c", _FILL, *ends], stdin=self._file)
        self._belongings.push_async_callback(filling.kill)
        await filling.wait()
        filling.settled()

    def filled(self) -> Places:
        """Where there is memory now, if that is a few places: with large pages it is. To be asked once."""
        try:
            return _filled(self._file)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def size(places: Places) -> int:
    """In bytes."""
    return sum(end - start for start, end in places)


def _filled(file: int) -> Places:
    places: list[tuple[int, int]] = []
    end, bottom = 0, os.fstat(file).st_size
    while end < bottom:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError:
            break  # nothing more comes
        if len(places) == _PLACES_MAX:
            return ()
        end = os.lseek(file, start, os.SEEK_HOLE)
        places.append((start, end))
    return tuple(places)
