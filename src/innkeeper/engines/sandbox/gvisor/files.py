"""Files of a gVisor sandbox, carried by its guest agent through a door."""

import asyncio
import errno
import os
import socket
from typing import BinaryIO

from innkeeper.engines.sandbox.calls import CALL_TIMEOUT_SECONDS, Calls
from innkeeper.engines.sandbox.files import failure
from innkeeper.engines.sandbox.gvisor.doors import Doors
from innkeeper.engines.sandbox.gvisor.guest_doors import CHUNK_BYTES, STATUS
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxGone


async def read(channel: Calls, doors: Doors, path: str, limit_bytes: int) -> bytes:
    stream = await _stream(channel, doors, "read", path)
    return await asyncio.to_thread(_read, stream, path, limit_bytes)


async def write(channel: Calls, doors: Doors, path: str, data: bytes) -> None:
    stream = await _stream(channel, doors, "write", path)
    await asyncio.to_thread(_write, stream, path, data)


async def _stream(channel: Calls, doors: Doors, operation: str, path: str) -> socket.socket:
    with doors.open() as door:
        reply = await channel.call(operation, door.name, path)
        if reply.error == errno.ENXIO:
            raise SandboxError(f"{path} is not a regular file")
        if reply.error:
            raise failure(reply.error, path)
        stream = door.take()
    stream.settimeout(CALL_TIMEOUT_SECONDS)
    return stream


def _read(stream: socket.socket, path: str, limit_bytes: int) -> bytes:
    data = bytearray()
    try:
        with stream, stream.makefile("rb") as frames:
            while length := _status(frames):
                if length < 0:
                    raise failure(-length, path)
                if length > CHUNK_BYTES:
                    raise SandboxError("the guest agent sent more than was agreed")
                data += frames.read(length)
                if len(data) > limit_bytes:
                    raise SandboxError(f"{path} is larger than the {limit_bytes} bytes that may be read")
    except TimeoutError:
        raise SandboxError(f"the sandbox did not answer in {CALL_TIMEOUT_SECONDS:g} s") from None
    return bytes(data)


def _write(stream: socket.socket, path: str, data: bytes) -> None:
    try:
        with stream, stream.makefile("rb") as answer:
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
            error = _status(answer)
    except TimeoutError:
        raise SandboxError(f"the sandbox did not answer in {CALL_TIMEOUT_SECONDS:g} s") from None
    except OSError:
        raise SandboxGone("the sandbox has ended") from None
    if error:
        raise SandboxError(f"cannot write {path}: {os.strerror(error)}")


def _status(stream: BinaryIO) -> int:
    said = stream.read(STATUS.size)
    if len(said) < STATUS.size:
        raise SandboxGone("the sandbox has ended")
    number: int = STATUS.unpack(said)[0]
    return number
