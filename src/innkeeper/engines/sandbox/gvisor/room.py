"""One sandbox of the gvisor driver: the life of a `Room`, behind other walls."""

import asyncio
import os
import resource
import shutil
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from innkeeper.engines.sandbox import launch
from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.child import KILL_TIMEOUT_SECONDS, ChildProcess
from innkeeper.engines.sandbox.gvisor import bundle, files, namespace, process
from innkeeper.engines.sandbox.gvisor.doors import Doors
from innkeeper.engines.sandbox.records import ProcessMark, Record, Records
from innkeeper.engines.sandbox.relay import RelayServer
from innkeeper.engines.sandbox.room import Room, checked_port, unreachable
from innkeeper.engines.sandbox.rootfs import ENVIRONMENT
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Limits,
    Network,
    Relay,
    SandboxError,
    SandboxGone,
    SandboxSpec,
    Usage,
)

HEADROOM_MIB = 128
"""What gVisor itself takes of a sandbox's memory."""
_HOST_TASKS = 4096  # threads that gVisor may have on the host beside those that run the agent's


class GvisorRoom(Room):
    """`folder` is for its bundle; it is removed with the sandbox."""

    def __init__(
        self, spec: SandboxSpec, cgroup: Cgroup, ended: Callable[[Room], None], folder: Path
    ) -> None:
        super().__init__(spec, cgroup, ended)
        self._folder = folder
        self._doors: Doors | None = None
        self._processes = 0

    async def exec(self, command: Command) -> process.GvisorProcess:
        environment = {**ENVIRONMENT, **self._spec.environment, **command.environment}
        directory = self._inside(command.working_directory or "")
        return await process.start(self._channel, self._open_doors(), command, directory, environment)

    async def dial(self, port: int) -> socket.socket:
        checked_port(port)
        with self._open_doors().open() as door:
            reply = await self._channel.call("dial", door.name, str(port))
            if reply.error:
                raise unreachable(reply.error, port)
            return door.take()

    async def read_file(self, path: str, limit_bytes: int = 100_000_000) -> bytes:
        return await files.read(self._channel, self._open_doors(), self._inside(path), limit_bytes)

    async def write_file(self, path: str, data: bytes) -> None:
        await files.write(self._channel, self._open_doors(), self._inside(path), data)

    async def usage(self) -> Usage:
        """How many processes the agent has, only the guest agent knows: the host sees gVisor's threads.
        Memory above the agent's limit is certainly gVisor's own."""
        used = await super().usage()
        most = self._limits.memory_mib
        with suppress(SandboxError):
            self._processes = (await self._channel.call("count")).value
        return replace(
            used,
            memory_mib=min(used.memory_mib, most),
            memory_peak_mib=min(used.memory_peak_mib, most),
            processes=self._processes,
        )

    def _around(self, limits: Limits) -> Limits:
        """gVisor's own part is added."""
        return replace(
            limits,
            memory_mib=limits.memory_mib + HEADROOM_MIB,
            processes=_HOST_TASKS + 4 * limits.processes,
        )

    def _open_doors(self) -> Doors:
        if self._doors is None:
            raise SandboxGone("the sandbox has ended")
        return self._doors

    async def _open(self, records: Records, etc: Path) -> None:
        record = Record(self.id, ProcessMark.of(os.getpid()), self._cgroup.paths)
        records.claim(record)
        self._belongings.callback(records.remove, self.id)
        self._belongings.push_async_callback(asyncio.to_thread, discard, self._folder)
        self._cgroup.make(self._around(self._limits))
        self._belongings.push_async_callback(asyncio.to_thread, self._cgroup.release)
        holder = await self._hold_network()
        path = namespace.path(holder) if holder else None
        await self._write_bundle(etc, path)
        self._doors = Doors(bundle.doors(self._folder))
        self._belongings.callback(self._close_doors)
        # The guest agent becomes ready while its network does.
        joining = asyncio.create_task(self._attach(holder))
        try:
            runsc = self._start_runsc("host" if holder else "none")
            await self._greeted(runsc)
            runsc.settled()
            helpers = await joining
        finally:
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
        for relay in self._spec.relays:
            await self._relay(relay)
        records.update(replace(record, processes=(ProcessMark.of(runsc.pid), *helpers)))

    async def _write_bundle(self, etc: Path, network_path: str | None) -> None:
        write = asyncio.to_thread(bundle.write, self._folder, self._spec, etc, network_path)
        writing = asyncio.create_task(write)
        # Who gives up meanwhile must not remove what is still being written.
        self._belongings.push_async_callback(asyncio.wait, {writing})
        await asyncio.shield(writing)

    async def _hold_network(self) -> ChildProcess | None:
        if self._spec.network is Network.NONE:
            return None
        return await namespace.hold(self._entering(), self._belongings)

    async def _attach(self, holder: ChildProcess | None) -> tuple[ProcessMark, ...]:
        """The processes of the network, if the sandbox is to have one."""
        if holder is None:
            return ()
        return (ProcessMark.of(holder.pid), ProcessMark.of(await self._connect(holder.pid)))

    def _entering(self) -> list[str]:
        _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        return launch.entering(most_files, self._cgroup.doors)

    def _start_runsc(self, kind: str) -> ChildProcess:
        control = self._channel.guest_end
        try:
            runsc = ChildProcess(
                [
                    *self._entering(),
                    *("setpriv", "--pdeathsig", "KILL"),
                    *("runsc", f"--root={self._folder}/state", "--platform=systrap", f"--network={kind}"),
                    *("--overlay2=none", "--host-uds=open", "--ignore-cgroups"),
                    *("run", f"--bundle={self._folder}", self.id),
                ],
                stdin=control.fileno(),
            )
        finally:
            control.close()
        self._belongings.push_async_callback(runsc.kill)
        self._guest = runsc
        return runsc

    async def _greeted(self, runsc: ChildProcess) -> None:
        try:
            await self._channel.greeted()
        except SandboxGone:
            with suppress(TimeoutError):
                async with asyncio.timeout(KILL_TIMEOUT_SECONDS):
                    await runsc.wait()
            raise SandboxError(f"runsc could not start: {runsc.complaints() or 'it said nothing'}") from None

    def _close_doors(self) -> None:
        if self._doors is not None:
            self._doors.close()
        self._doors = None

    async def _relay(self, relay: Relay) -> None:
        door = self._open_doors().open()
        self._belongings.callback(door.close)
        reply = await self._channel.call("listen", door.name, str(checked_port(relay.port)))
        if reply.error:
            raise SandboxError(f"cannot listen on port {relay.port} inside: {os.strerror(reply.error)}")
        server = RelayServer(door.listener, relay)
        self._belongings.push_async_callback(server.close)


def discard(folder: Path) -> None:
    """Remove a bundle."""
    shutil.rmtree(folder, ignore_errors=True)
