"""Processes in a gVisor sandbox: their streams go over its wire; terminals are the guest agent's."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from innkeeper.engines.sandbox import process
from innkeeper.engines.sandbox.calls import Exit
from innkeeper.engines.sandbox.gvisor.barrier import Barrier
from innkeeper.engines.sandbox.gvisor.doors import Doors
from innkeeper.engines.sandbox.gvisor.guest_wire import WINDOW_BYTES
from innkeeper.engines.sandbox.gvisor.snapshot import Image, Running
from innkeeper.engines.sandbox.gvisor.streams import StandardStreams
from innkeeper.engines.sandbox.gvisor.wire import Wire
from innkeeper.engines.sandbox.process import SandboxProcess
from innkeeper.engines.sandbox.sandbox import Command, SandboxError, TerminalSize


class GvisorProcess(SandboxProcess):
    """`give_line` hands the process of this id a line."""

    def __init__(
        self,
        wire: Wire,
        process_id: int,
        exited: Exit,
        streams: StandardStreams,
        give_line: Callable[[int], Awaitable[None]],
    ) -> None:
        super().__init__(wire, process_id, exited, streams)
        self._terminal = streams.terminal
        self._give_line = give_line

    async def go_direct(self) -> None:
        with suppress(SandboxError, OSError):  # whoever speaks with it next is told
            await self._give_line(self.id)

    async def resize(self, size: TerminalSize) -> None:
        if not self._terminal:
            raise SandboxError("this process has no terminal to resize")
        if not self._exited.done():
            await self._channel.call("resize", str(self.id), str(size.columns), str(size.rows))


class Processes:
    """Those of one sandbox: started, or adopted from an image. Who passes the barrier may use a door."""

    def __init__(self, wire: Wire, barrier: Barrier, doors: Callable[[], Doors]) -> None:
        self._wire = wire
        self._barrier = barrier
        self._doors = doors
        self._streams: dict[int, StandardStreams] = {}
        self._adopted: dict[int, GvisorProcess] = {}

    async def start(self, command: Command, directory: str, environment: Mapping[str, str]) -> GvisorProcess:
        """Raises SandboxError when the program cannot be started, SandboxGone when the sandbox ended."""
        fields = process.request_of(command, directory, environment)
        number = self._wire.number()
        streams = StandardStreams(self._wire, number, command.terminal is not None, WINDOW_BYTES)
        try:
            reply = await self._wire.call("exec", str(number), *fields)
            exited = process.exit_of(reply, fields)
        except BaseException:
            streams.close()
            raise
        for ended in self._streams.keys() - set(self._wire.alive):
            del self._streams[ended]
        self._streams[reply.value] = streams
        return GvisorProcess(self._wire, reply.value, exited, streams, self._give_line)

    def adopt(self, image: Image) -> None:
        """Those in it, with streams that give and take nothing yet."""
        self._wire.next_number = image.next_stream
        for each in image.processes:
            streams = StandardStreams(self._wire, each.stream, each.terminal, 0, each.open)
            self._streams[each.id] = streams
            exited = self._wire.running(each.id)
            self._adopted[each.id] = GvisorProcess(self._wire, each.id, exited, streams, self._give_line)

    def take(self, process_id: int) -> GvisorProcess:
        """An adopted one, once. Raises SandboxError."""
        if process_id not in self._adopted:
            raise SandboxError(
                f"no process {process_id} was restored with this sandbox, or it was taken already"
            )
        self._streams[process_id].begin()
        return self._adopted.pop(process_id)

    def living(self) -> tuple[Running, ...]:
        living = {each: self._streams[each] for each in self._wire.alive if each in self._streams}
        return tuple(
            Running(each, streams.number, streams.terminal, streams.open) for each, streams in living.items()
        )

    async def hang_up(self) -> None:
        """End every line; call it with the barrier shut. Raises SandboxError."""
        await asyncio.gather(*(streams.hang_up() for streams in self._streams.values()))

    async def _give_line(self, process_id: int) -> None:
        streams = self._streams.get(process_id)
        if streams is None or not streams.can_have_line:
            return
        async with self._barrier.passed():
            with self._doors().open() as door:
                reply = await self._wire.call("line", door.name, str(process_id))
                if not reply.error:
                    await streams.take_line(door.take())
