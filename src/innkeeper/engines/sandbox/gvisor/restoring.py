"""A restore that is begun ahead: of all that a snapshot holds, the memory alone is still to come.

A sentry reads what it knows and what its sandbox remembers at the same time, and goes on when it has both.
The table of what lies where in the memory is a file of its own, and it gets a pipe in the place of that. So
it has its own part done long before somebody waits, and has the memory to read when the table is whole.
Source: `Kernel.LoadFrom` in `pkg/sentry/kernel/kernel.go` and `MemoryFile.LoadFrom` in
`pkg/sentry/pgalloc/save_restore.go` of https://github.com/google/gvisor, release-20240729.0.
"""

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import SandboxError

TIMEOUT_SECONDS = 300.0
"""For what is asked of a sentry."""
IMAGE = ("checkpoint.img", "pages_meta.img", "pages.img")
"""The files of an image, in the order in which they are passed. The second is the table."""

_PAGE_BYTES = 4096
_GOES_ON = 0x80  # in each byte of a number but the last


class Restoring:
    """`ask` passes the sentry these files and returns once it goes on from them. It has so much of the table;
    the `rest` is held back."""

    def __init__(
        self, files: Sequence[int], door: int, rest: bytes, ask: Callable[[Sequence[int]], Awaitable[None]]
    ) -> None:
        self._files = [*files, door]
        self._door = door
        self._rest = rest
        self._asking = asyncio.ensure_future(ask(files))

    @classmethod
    async def begin(cls, image: Path, ask: Callable[[Sequence[int]], Awaitable[None]]) -> "Restoring":
        """Raises OSError."""
        table, cut = await asyncio.to_thread(_read, image)
        files: list[int] = []
        try:
            files += os.pipe()
            heard, door = files
            fcntl.fcntl(door, fcntl.F_SETPIPE_SZ, len(table))
            os.write(door, table[:cut])
            for name in IMAGE[0], IMAGE[2]:
                files.append(os.open(image / name, os.O_RDONLY | os.O_CLOEXEC))
        except BaseException:
            _close(files)
            raise
        return cls((files[2], heard, files[3]), door, table[cut:], ask)

    def check(self) -> None:
        """Raises SandboxError when it has failed already."""
        if self._asking.done():
            self._asking.result()
            raise SandboxError("the sentry went on without its memory")

    async def finish(self) -> None:
        """Return once the sandbox goes on. Raises OSError, SandboxError."""
        os.write(self._door, self._rest)
        _close(self._files)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._asking
        except TimeoutError:
            raise SandboxError(f"the sentry did not go on in {TIMEOUT_SECONDS:g} s") from None

    async def abandon(self) -> None:
        """To be called at the end in any case."""
        self._asking.cancel()
        await asyncio.gather(self._asking, return_exceptions=True)
        _close(self._files)


def _close(files: list[int]) -> None:
    while files:
        os.close(files.pop())


def _read(image: Path) -> tuple[bytes, int]:
    """The table, and how much of it can be told ahead."""
    _, table, pages = (image / name for name in IMAGE)
    told = table.read_bytes()
    return told, lengths(told, pages.stat().st_size)


def lengths(table: bytes, memory_bytes: int) -> int:
    """Where in the table the lengths of the memory's parts begin, which a sentry reads one by one with what
    they are of: they are multiples of a page, and together all of it. Else 0."""
    sums = [0] * (len(table) + 1)  # of the lengths that follow each other from there
    for begin in reversed(range(len(table))):
        if begin and table[begin - 1] & _GOES_ON:
            continue  # no number begins in another
        length, end = _number(table, begin)
        if length and length % _PAGE_BYTES == 0:
            sums[begin] = length + sums[end]
        if sums[begin] == memory_bytes:
            return begin
    return 0


def _number(table: bytes, begin: int) -> tuple[int, int]:
    """The one that lies there, in seven bits a byte, the lowest first; and where the next lies."""
    end = begin
    while end + 1 < len(table) and table[end] & _GOES_ON:
        end += 1
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(table[begin : end + 1])), end + 1
