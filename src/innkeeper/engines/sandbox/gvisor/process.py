"""Processes in a gVisor sandbox: their streams are sockets, and their terminals are the guest agent's."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import BinaryIO

from innkeeper.engines.sandbox import process
from innkeeper.engines.sandbox.channel import Channel
from innkeeper.engines.sandbox.gvisor.doors import Doors
from innkeeper.engines.sandbox.process import SandboxProcess, Streams
from innkeeper.engines.sandbox.sandbox import Command, SandboxError, TerminalSize


class GvisorProcess(SandboxProcess):
    async def resize(self, size: TerminalSize) -> None:
        if self._streams.terminal is None:
            raise SandboxError("this process has no terminal to resize")
        if not self._exited.done():
            await self._channel.call("resize", str(self.id), str(size.columns), str(size.rows))


async def start(
    channel: Channel, doors: Doors, command: Command, directory: str, environment: Mapping[str, str]
) -> GvisorProcess:
    """Raises SandboxError when the program cannot be started, SandboxGone when the sandbox ended."""
    fields = process.request_of(command, directory, environment)
    with ExitStack() as stack:
        door = stack.enter_context(doors.open())
        reply = await channel.call("exec", door.name, *fields)
        exited = process.exit_of(reply, fields)
        taken = [stack.enter_context(door.take()) for _ in range(1 if command.terminal else 3)]
        ends = [end.detach() for end in taken]
    if command.terminal:
        streams = process.terminal_streams(ends[0])
    else:
        stdin, *outputs = ends
        streams = await _pipes(os.fdopen(stdin, "wb", 0), *(os.fdopen(end, "rb", 0) for end in outputs))
    return GvisorProcess(channel, reply.value, exited, streams)


async def _pipes(stdin: BinaryIO, stdout: BinaryIO, stderr: BinaryIO) -> Streams:
    out, out_transport = await process.reading(stdout)
    err, err_transport = await process.reading(stderr)
    return Streams(await process.writing(stdin), out, err, (out_transport, err_transport))
