"""Files of a sandbox, read and written through descriptors that its guest agent opened.

The path is resolved inside, with the agent's own rights, so no link leads out. What the descriptor is, we
look at ourselves.
"""

import asyncio
import errno
import os
import stat
from typing import BinaryIO, Literal

from innkeeper.engines.sandbox.calls import Calls
from innkeeper.engines.sandbox.sandbox import SandboxError

_CHUNK_BYTES = 1 << 20
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


async def read(channel: Calls, path: str, limit_bytes: int) -> bytes:
    file = await _open(channel, path, os.O_RDONLY, "rb")
    return await asyncio.to_thread(_read, file, path, limit_bytes)


async def write(channel: Calls, path: str, data: bytes) -> None:
    file = await _open(channel, path, _WRITE, "wb")
    await asyncio.to_thread(_write, file, path, data)


async def _open(channel: Calls, path: str, flags: int, mode: Literal["rb", "wb"]) -> BinaryIO:
    reply = await channel.call("open", path, str(flags))
    if reply.error:
        raise failure(reply.error, path)
    fd = reply.take()
    kind = os.fstat(fd).st_mode
    if not stat.S_ISREG(kind):
        os.close(fd)
        if stat.S_ISDIR(kind):
            raise failure(errno.EISDIR, path)
        raise SandboxError(f"{path} is not a regular file")
    return os.fdopen(fd, mode, buffering=0)


def _read(file: BinaryIO, path: str, limit_bytes: int) -> bytes:
    data = bytearray()
    with file:
        try:
            while chunk := file.read(min(_CHUNK_BYTES, limit_bytes + 1 - len(data))):
                data += chunk
                if len(data) > limit_bytes:
                    raise SandboxError(f"{path} is larger than the {limit_bytes} bytes that may be read")
        except OSError as error:
            raise SandboxError(f"cannot read {path}: {error.strerror}") from error
    return bytes(data)


def _write(file: BinaryIO, path: str, data: bytes) -> None:
    rest = memoryview(data)
    with file:
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise SandboxError(f"cannot write {path}: {error.strerror}") from error


def failure(error: int, path: str) -> Exception:
    """The few failures that the protocol names, as what Python calls them; any other by its text."""
    message = os.strerror(error)
    if error in (errno.ENOENT, errno.ENOTDIR):
        return FileNotFoundError(error, message, path)
    if error == errno.EISDIR:
        return IsADirectoryError(error, message, path)
    if error in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionError(error, message, path)
    return SandboxError(f"cannot open {path}: {message}")
