"""Processes in a gVisor sandbox: their streams go over its wire; terminals are the guest agent's."""

from collections.abc import Mapping

from innkeeper.engines.sandbox import process
from innkeeper.engines.sandbox.calls import Exit
from innkeeper.engines.sandbox.gvisor.guest_wire import WINDOW_BYTES
from innkeeper.engines.sandbox.gvisor.streams import StandardStreams
from innkeeper.engines.sandbox.gvisor.wire import Wire
from innkeeper.engines.sandbox.process import SandboxProcess
from innkeeper.engines.sandbox.sandbox import Command, SandboxError, TerminalSize


class GvisorProcess(SandboxProcess):
    def __init__(self, wire: Wire, process_id: int, exited: Exit, streams: StandardStreams) -> None:
        super().__init__(wire, process_id, exited, streams)
        self._terminal = streams.terminal

    async def resize(self, size: TerminalSize) -> None:
        if not self._terminal:
            raise SandboxError("this process has no terminal to resize")
        if not self._exited.done():
            await self._channel.call("resize", str(self.id), str(size.columns), str(size.rows))


async def start(
    wire: Wire, command: Command, directory: str, environment: Mapping[str, str]
) -> tuple[GvisorProcess, StandardStreams]:
    """Raises SandboxError when the program cannot be started, SandboxGone when the sandbox ended."""
    fields = process.request_of(command, directory, environment)
    number = wire.number()
    streams = StandardStreams(wire, number, command.terminal is not None, WINDOW_BYTES)
    try:
        reply = await wire.call("exec", str(number), *fields)
        exited = process.exit_of(reply, fields)
    except BaseException:
        streams.close()
        raise
    return GvisorProcess(wire, reply.value, exited, streams), streams
