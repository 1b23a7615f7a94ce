"""One sandbox of the gvisor driver: the life of a `Room`, behind other walls."""

import asyncio
import os
import resource
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from innkeeper.engines.sandbox import freezer, launch
from innkeeper.engines.sandbox.calls import CALL_TIMEOUT_SECONDS, Calls
from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.child import KILL_TIMEOUT_SECONDS, ChildProcess, WatchedProcess
from innkeeper.engines.sandbox.gvisor import bundle, control, files, relays, router, runsc
from innkeeper.engines.sandbox.gvisor.barrier import Barrier
from innkeeper.engines.sandbox.gvisor.doors import Door, Doors
from innkeeper.engines.sandbox.gvisor.lent import Lent, Places
from innkeeper.engines.sandbox.gvisor.memory import Memory
from innkeeper.engines.sandbox.gvisor.process import GvisorProcess, Processes
from innkeeper.engines.sandbox.gvisor.restoring import Restoring
from innkeeper.engines.sandbox.gvisor.router import Router, Routers
from innkeeper.engines.sandbox.gvisor.snapshot import Image, Snapshots, draft
from innkeeper.engines.sandbox.gvisor.wire import Wire
from innkeeper.engines.sandbox.overlay import laying
from innkeeper.engines.sandbox.records import ProcessMark, Record, Records
from innkeeper.engines.sandbox.room import Room, checked_port, unreachable
from innkeeper.engines.sandbox.rootfs import ENVIRONMENT
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Limits,
    Network,
    SandboxError,
    SandboxGone,
    SandboxSpec,
    Usage,
)

HEADROOM_MIB = 128
"""What gVisor itself takes of a sandbox's memory."""
_HOST_TASKS = 4096  # threads that gVisor may have on the host beside those that run the agent's


class GvisorRoom(Room):
    """`folder` is for its bundle; it is removed with the sandbox. With an `image`, it goes on from that; a
    `spare` only waits to be claimed by one, with memory made `ahead` for it: by any, or by its `image`, which
    it has begun to restore. Unless it is `urgent`, nobody waits for it to begin."""

    def __init__(
        self,
        spec: SandboxSpec,
        cgroup: Cgroup,
        ended: Callable[[Room], None],
        folder: Path,
        snapshots: Snapshots,
        routers: Routers,
        memory: Memory,
    ) -> None:
        super().__init__(spec, cgroup, ended)
        self.image: Image | None = None
        self.spare = False
        self.urgent = True
        self.ahead: Places = ()
        self._lent: Lent | None = None
        self._container = spec.id
        self._routers = routers
        self._memory = memory
        self._restoring: Restoring | None = None
        self._router: Router | None = None
        self._network = "none"
        self._folder = folder
        self._snapshots = snapshots
        self._doors: Doors | None = None
        self._barrier = Barrier()
        self._ports: set[int] = set()
        self._processes = Processes(self._wire, self._barrier, self._open_doors)
        self._count = 0
        self._around_runsc: list[str] = []

    async def exec(self, command: Command) -> GvisorProcess:
        environment = {**ENVIRONMENT, **self._spec.environment, **command.environment}
        directory = self._inside(command.working_directory or "")
        return await self._processes.start(command, directory, environment)

    def process(self, process_id: int) -> GvisorProcess:
        return self._processes.take(process_id)

    async def snapshot(self, folder: Path, *, keep_running: bool = True, durable: bool = True) -> None:
        async with self._changing:
            self._check_open()
            writing = asyncio.create_task(self._snapshot(folder, keep_running, durable))
            ending = asyncio.create_task(self._ending.wait())
            try:
                await asyncio.wait({writing, ending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ending.cancel()
                if not writing.done():
                    writing.cancel()
                    await asyncio.wait({writing})
            if writing.cancelled():
                raise SandboxGone("the sandbox ended while it was snapshotted")
            writing.result()
            if not keep_running:
                self._ending.set()
        if not keep_running:
            await self.kill()

    async def dial(self, port: int) -> socket.socket:
        checked_port(port)
        async with self._barrier.passed():
            with self._open_doors().open() as door:
                return await self._dial(door, port)

    async def _dial(self, door: Door, port: int) -> socket.socket:
        reply = await self._channel.call("dial", door.name, str(port))
        if reply.error:
            raise unreachable(reply.error, port)
        return door.take()

    async def read_file(self, path: str, limit_bytes: int = 100_000_000) -> bytes:
        async with self._barrier.passed():
            return await files.read(self._channel, self._open_doors(), self._inside(path), limit_bytes)

    async def write_file(self, path: str, data: bytes) -> None:
        async with self._barrier.passed():
            await files.write(self._channel, self._open_doors(), self._inside(path), data)

    async def usage(self) -> Usage:
        """How many processes the agent has, only the guest agent knows: the host sees gVisor's threads.
        Memory above the agent's limit is certainly gVisor's own."""
        used = await super().usage()
        most = self._limits.memory_mib
        with suppress(SandboxError):
            self._count = (await self._channel.call("count")).value
        return replace(
            used,
            memory_mib=min(used.memory_mib, most),
            memory_peak_mib=min(used.memory_peak_mib, most),
            processes=self._count,
        )

    def _around(self, limits: Limits) -> Limits:
        """gVisor's own part is added."""
        return replace(
            limits,
            memory_mib=limits.memory_mib + HEADROOM_MIB,
            processes=_HOST_TASKS + 4 * limits.processes,
        )

    def _open_channel(self) -> Calls:
        self._wire = Wire(self._ending.set)
        return self._wire

    def _open_doors(self) -> Doors:
        if self._doors is None:
            raise SandboxGone("the sandbox has ended")
        return self._doors

    async def _open(self, records: Records, etc: Path) -> None:
        record = Record(
            self.id, ProcessMark.of(os.getpid()), self._cgroup.paths, folders=(str(self._folder),)
        )
        records.claim(record)
        self._belongings.callback(self._forget)
        self._belongings.push_async_callback(asyncio.to_thread, discard, self._folder)
        self._records, self._record = records, record
        self._cgroup.make(self._around(self._limits))
        self._belongings.push_async_callback(asyncio.to_thread, self._cgroup.release)
        if self._spec.network is not Network.NONE:
            self._router, self._network = await self._routers.take(self._belongings), "sandbox"
        await self._write_bundle(etc, self._router.path if self._router else None)
        if laid := laying(self._spec, etc):
            self._around_runsc = ["unshare", "--mount", "--", *laid]
        self._doors = Doors(bundle.doors(self._folder))
        self._belongings.callback(self._close_doors)
        with self._cgroup.hurried() if self.urgent else nullcontext():
            await self._boot()

    async def _boot(self) -> None:
        if self.spare:
            await self._stand_by()
            return
        # The guest agent becomes ready while its network does.
        joining = asyncio.create_task(self._join_network())
        try:
            await self._begin(self._run())
            helpers = await joining
        finally:
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
        self._renote(processes=(*self._record.processes, *map(ProcessMark.of, helpers)))

    async def _stand_by(self) -> None:
        pid = await self._create()
        self._lent = self._memory.lend(pid, self._belongings) if self.ahead else None
        if self.image:
            await self._begin_restore(await self._sentry(), self.image)
        if self._lent:
            await self._lent.fill(self.ahead, self._entering())
        await freezer.freeze(self._cgroup.paths)  # else it takes 2 % of a processor

    async def _begin_restore(self, sentry: runsc.Sentry, image: Image) -> None:
        """Return once the sentry has done what it can without the memory."""
        self._restoring = await sentry.begin(image.folder)
        if self._restoring is None:
            return
        self._belongings.push_async_callback(self._restoring.abandon)
        await self._cgroup.rests()
        self._restoring.check()

    async def claim(self, spec: SandboxSpec, image: Image) -> None:
        """Stop being a spare: go on from the image, as the sandbox of this spec, whose bundle is the same.
        Raises SandboxError; then nothing is left."""
        try:
            claimed = replace(self._record, id=spec.id)
            self._records.claim(claimed)
            self._records.remove(self.id)
            self._record = claimed
            self._spec, self._limits, self.image = spec, spec.limits, image
            self._cgroup.change(self._around(spec.limits))
            freezer.thaw(self._cgroup.paths)
            sentry = await self._sentry()
            restored = self._restoring.finish() if self._restoring else sentry.restore(image.folder)
            with self._cgroup.hurried():
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(restored)
                    tasks.create_task(self._begin(None))
                    joining = tasks.create_task(self._join_network())
            helpers = joining.result()
            self._renote(processes=(*self._record.processes, *map(ProcessMark.of, helpers)))
            if self._lent:
                self.image = replace(image, layout=self._lent.filled())
        except (OSError, ExceptionGroup) as error:
            await self.kill()
            reason = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            raise SandboxError(f"cannot restore the sandbox: {reason}") from error
        except BaseException:
            await self.kill()
            raise

    async def _begin(self, started: ChildProcess | None) -> None:
        """Meet the guest agent, which begins or goes on, and open its relays."""
        inherited = self.image.relays if self.image else ()
        for relay in self._spec.relays:
            relays.serve(relay, self._open_doors(), self._belongings)
        await self._greeted(started)
        for relay in self._spec.relays:
            if relay.port not in inherited:
                await relays.listen(relay.port, self._channel)
        self._ports = {*inherited, *(relay.port for relay in self._spec.relays)}

    async def _write_bundle(self, etc: Path, network_path: str | None) -> None:
        write = asyncio.to_thread(bundle.write, self._folder, self._spec, etc, network_path)
        writing = asyncio.create_task(write)
        # Who gives up meanwhile must not remove what is still being written.
        self._belongings.push_async_callback(asyncio.wait, {writing})
        await asyncio.shield(writing)

    async def _join_network(self) -> tuple[int, ...]:
        if self._router is None:
            return ()
        return (await self._connect(self._router.namespace, router.POST),)

    def _entering(self) -> list[str]:
        _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        return launch.entering(most_files, self._cgroup.doors)

    def _run(self) -> ChildProcess:
        """One runsc that stays, and with which the sandbox ends."""
        how = ["restore", f"--image-path={self.image.folder}"] if self.image else ["run"]
        started = self._start(*how)
        self._guest = started
        self._renote(processes=(ProcessMark.of(started.pid),))
        return started

    async def _create(self) -> int:
        """A sentry that waits for what to run. It does not end with the server; `reap` finds it."""
        created = self._start("create", f"--pid-file={self._folder}/pid")
        await created.wait()
        if created.status != 0:
            raise SandboxError(f"runsc could not start: {runsc.explained(created.complaints())}")
        created.settled()
        pid = int(await asyncio.to_thread(Path(self._folder, "pid").read_text))
        self._guest = WatchedProcess(pid)
        self._belongings.push_async_callback(self._guest.kill)
        self._renote(processes=(ProcessMark.of(pid),))
        return pid

    def _start(self, *words: str) -> ChildProcess:
        heard, said = self._wire.guest_ends
        starter = self._memory.start if self.ahead else subprocess.Popen
        command = [*self._entering(), *self._around_runsc, *self._runsc(*words, *self._in_bundle())]
        try:
            started = ChildProcess(command, stdin=heard, stdout=said, start=starter)
        finally:
            self._wire.let_go()
        self._belongings.push_async_callback(started.kill)
        return started

    def _in_bundle(self) -> tuple[str, str]:
        return f"--bundle={self._folder}", self._container

    def _runsc(self, *words: str) -> list[str]:
        return runsc.command(self._folder / "state", self._network, *words)

    async def _sentry(self) -> runsc.Sentry:
        build = (await self._snapshots.key()).build
        state = self._folder / "state"
        return control.sentry(state, self._network, self._container, self._folder, build)

    async def _greeted(self, started: ChildProcess | None) -> None:
        try:
            if self.image is None:
                await self._wire.greeted()
            else:
                self._processes.adopt(self.image)
                await self._wire.go_on("restored")
        except SandboxGone:
            if started is None:
                raise
            with suppress(TimeoutError):
                async with asyncio.timeout(KILL_TIMEOUT_SECONDS):
                    await started.wait()
            said = runsc.explained(started.complaints())
            raise SandboxError(f"runsc could not start: {said}") from None
        if started is not None:
            started.settled()

    async def _snapshot(self, folder: Path, keep_running: bool, durable: bool) -> None:
        sentry = await self._sentry()
        try:
            with draft(folder, self._cgroup.usage().memory_mib) as path:
                self._renote(folders=(str(self._folder), str(path)))
                async with self._standing_still(sentry, keep_running):
                    with self._cgroup.hurried():
                        await sentry.checkpoint(path)
                    image = Image(
                        path, self._processes.living(), tuple(sorted(self._ports)), self._wire.next_number
                    )
                    if not keep_running:
                        await self._snapshots.keep(image, self._spec, folder, durable)
                if keep_running:
                    await self._snapshots.keep(image, self._spec, folder, durable)
        except OSError as error:
            raise SandboxError(f"cannot write a snapshot: {error.strerror}") from error
        finally:
            self._renote(folders=(str(self._folder),))

    @asynccontextmanager
    async def _standing_still(self, sentry: runsc.Sentry, keep_running: bool) -> AsyncIterator[None]:
        """Afterwards it goes on, or is paused if it was. If it shall not `keep_running`, its processes stand
        still even when the image is written, and go on only if that fails."""
        freezer.thaw(self._cgroup.paths)
        try:
            async with self._barrier.shut(CALL_TIMEOUT_SECONDS):
                await self._processes.hang_up()
                await self._wire.quiesce()
                try:
                    if not keep_running:
                        await sentry.pause()
                    yield
                except BaseException:
                    if not keep_running:
                        await sentry.resume()
                    keep_running = True
                    raise
                finally:
                    if keep_running:
                        await self._wire.go_on("continue")
        except TimeoutError:
            raise SandboxError("the snapshot was not done in time") from None
        finally:
            if self._channel.paused and keep_running:
                await freezer.freeze(self._cgroup.paths)

    def _forget(self) -> None:
        self._records.remove(self._record.id, self._record.cgroups)

    def _renote(self, **changed: Any) -> None:
        self._record = replace(self._record, **changed)
        self._records.update(self._record)

    def _close_doors(self) -> None:
        if self._doors is not None:
            self._doors.close()
        self._doors = None


def discard(folder: Path) -> None:
    """Remove a bundle."""
    shutil.rmtree(folder, ignore_errors=True)
