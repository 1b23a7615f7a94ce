"""One sandbox of the bubblewrap driver: a control channel to its guest agent, and what must end with it."""

import asyncio
import contextlib
import errno
import json
import os
import posixpath
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

from innkeeper.engines.sandbox import files, freezer, health, launch, network, process
from innkeeper.engines.sandbox.calls import CALL_TIMEOUT_SECONDS, START_TIMEOUT_SECONDS, Calls, Reply
from innkeeper.engines.sandbox.cgroups import Cgroup
from innkeeper.engines.sandbox.channel import Channel
from innkeeper.engines.sandbox.child import KILL_TIMEOUT_SECONDS, ChildProcess, WatchedProcess
from innkeeper.engines.sandbox.egress import gate
from innkeeper.engines.sandbox.egress.authority import Authority
from innkeeper.engines.sandbox.egress.firewall import OUTPUT, Post
from innkeeper.engines.sandbox.egress.gate import Gate
from innkeeper.engines.sandbox.host_users import HostUser, HostUsers
from innkeeper.engines.sandbox.nest import Nest
from innkeeper.engines.sandbox.network_namespace import NetworkNamespace
from innkeeper.engines.sandbox.process import HeldProcess, SandboxProcess
from innkeeper.engines.sandbox.readiness import readable, writable
from innkeeper.engines.sandbox.records import ProcessMark, Record, Records
from innkeeper.engines.sandbox.relay import RelayServer
from innkeeper.engines.sandbox.rootfs import ENVIRONMENT
from innkeeper.engines.sandbox.rootfs import writable as writable_places
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Egress,
    Limits,
    Network,
    Relay,
    SandboxError,
    SandboxGone,
    SandboxSpec,
    Usage,
)


class Room:
    """A `Sandbox`. Whatever ends the guest agent closes its channel, and that ends the room. One with a list
    needs an `authority` for its proxy; one with `users` is one of them, its `user`, else the server's. A
    zygote whose user is its `mother` may fork into it."""

    authority: Authority | None = None
    users: HostUsers | None = None
    user: HostUser | None = None
    mother: HostUser | None = None

    def __init__(self, spec: SandboxSpec, cgroup: Cgroup, ended: Callable[["Room"], None]) -> None:
        self._spec = spec
        self._limits = spec.limits
        self._ended = ended
        self._cgroup = cgroup
        self._ending = asyncio.Event()
        self._changing = asyncio.Lock()
        self._channel = self._open_channel()
        self._guest: WatchedProcess | None = None
        self._gate: Gate | None = None
        self._belongings = AsyncExitStack()
        self._belongings.callback(self._channel.close)
        self._gone = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self._spec.id

    @property
    def folders(self) -> Sequence[str]:
        return self._spec.folders

    @property
    def alive(self) -> bool:
        return not self._ending.is_set()

    async def open(self, records: Records, etc: Path) -> None:
        """Raises SandboxError; then nothing of the attempt is left."""
        try:
            await self._open(records, etc)
        except OSError as error:
            await self._end()
            raise SandboxError(f"cannot start a sandbox: {error}") from error
        except BaseException:
            await self._end()
            raise
        self._keeper = asyncio.create_task(self._keep())

    async def exec(self, command: Command) -> SandboxProcess:
        environment = {**ENVIRONMENT, **self._spec.environment, **command.environment}
        directory = self._inside(command.working_directory or "")
        return await process.start(self._channel, command, directory, environment)

    async def hatch(self, fork: Callable[[Nest, Sequence[int]], Awaitable[int]]) -> HeldProcess:
        """Take in a process that a zygote forks: it is as if it had been started here. Raises SandboxError;
        then the room is not to be used."""
        nest = self._nest()

        async def begin(standard: Sequence[int]) -> Reply:
            return await self._channel.call("adopt", str(await fork(nest, standard)))

        return await process.held(self._channel, begin)

    async def dial(self, port: int) -> socket.socket:
        reply = await self._channel.call("dial", str(checked_port(port)))
        if reply.error:
            raise unreachable(reply.error, port)
        dialled = _adopt(reply.take())
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                await _connected(dialled, port)
        except BaseException as error:
            dialled.close()
            if isinstance(error, TimeoutError):
                raise unreachable(errno.ETIMEDOUT, port) from None
            raise
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return dialled

    async def read_file(self, path: str, limit_bytes: int = 100_000_000) -> bytes:
        return await files.read(self._channel, self._inside(path), limit_bytes)

    async def write_file(self, path: str, data: bytes) -> None:
        await files.write(self._channel, self._inside(path), data)

    async def set_egress(self, egress: Egress) -> None:
        async with self._changing:
            self._check_open()
            if self._gate is None:
                raise SandboxError("only a sandbox with the network 'listed' has an egress to change")
            await self._gate.change(egress)

    def process(self, process_id: int) -> SandboxProcess:
        raise SandboxError(f"no process {process_id} was restored with this sandbox")

    async def snapshot(self, folder: Path, *, keep_running: bool = True, durable: bool = True) -> None:
        raise SandboxError("the bubblewrap driver takes no snapshots of memory; the gvisor driver does")

    async def set_limits(self, limits: Limits) -> None:
        asked, now = (replace(each, cpu_cores=0, memory_mib=0) for each in (limits, self._limits))
        if asked != now:
            raise SandboxError("of a sandbox that runs, only cpu_cores and memory_mib can be changed")
        async with self._changing:
            self._check_open()
            try:
                self._cgroup.change(self._around(limits))
            except OSError as error:
                self._cgroup.change(self._around(self._limits))
                raise SandboxError(
                    f"cannot set the limits to {limits.cpu_cores:g} cores and {limits.memory_mib} MiB: "
                    f"{error.strerror}; more memory than that may be in use"
                ) from error
            self._limits = limits

    async def usage(self) -> Usage:
        return self._cgroup.usage()

    async def pause(self) -> None:
        async with self._changing:
            self._check_open()
            if self._channel.paused:
                return
            if not self._cgroup.freezes:
                raise SandboxError("sandboxes cannot be paused here: no cgroup may be used to freeze them")
            self._channel.paused = True
            try:
                await freezer.freeze(self._cgroup.paths)
            except BaseException:
                self._channel.paused = False
                self._check_open()
                raise

    async def resume(self) -> None:
        async with self._changing:
            self._check_open()
            freezer.thaw(self._cgroup.paths)
            self._channel.paused = False

    async def closed(self) -> None:
        await self._gone.wait()

    async def kill(self) -> None:
        """One that is still beginning ends as soon as it has begun. Raises SandboxError when it cannot be."""
        self._ending.set()
        await self._gone.wait()
        if self._keeper is not None:
            await asyncio.shield(self._keeper)

    def _open_channel(self) -> Calls:
        self._control = Channel(self._ending.set)
        return self._control

    def _check_open(self) -> None:
        if self._ending.is_set():
            raise SandboxGone("the sandbox has ended")

    def _nest(self) -> Nest:
        if self._guest is None or self.user is None or self.mother is None:
            raise SandboxError("no zygote has power over this sandbox")
        return Nest(
            guest=self._guest.pid,
            user=self.user,
            doors=self._cgroup.doors,
            open_files=launch.open_files(self._spec),
            writable=writable_places(self._spec),
            directory=self._inside(""),
            environment={**ENVIRONMENT, **self._spec.environment},
        )

    def _around(self, limits: Limits) -> Limits:
        """What the control group must allow for an agent with these limits."""
        return limits

    def _inside(self, path: str) -> str:
        return posixpath.join(self._spec.working_directory, path)

    async def _open(self, records: Records, etc: Path) -> None:
        record = Record(self.id, ProcessMark.of(os.getpid()), self._cgroup.paths)
        records.claim(record)
        self._belongings.callback(records.remove, self.id, self._cgroup.paths)
        self._cgroup.make(self._around(self._limits))
        self._belongings.push_async_callback(asyncio.to_thread, self._cgroup.release)
        bubblewrap = await self._start_guest(etc)
        # The guest agent becomes ready while its network does.
        joining = asyncio.create_task(self._join_network())
        try:
            await _greeted(self._channel, bubblewrap)
            bubblewrap.settled()
            slirps = await joining
        finally:
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
        if self._guest is None:
            raise SandboxError("the guest agent ended at once")
        for relay in self._spec.relays:
            await self._relay(relay)
        pids = (bubblewrap.pid, self._guest.pid, *slirps)
        records.update(replace(record, processes=tuple(map(ProcessMark.of, pids))))

    async def _start_guest(self, etc: Path) -> ChildProcess:
        with ExitStack() as ours:
            heard, info = os.pipe()
            ours.callback(os.close, heard)
            with ExitStack() as theirs:
                theirs.callback(os.close, info)
                guest_end = theirs.enter_context(self._control.guest_end)
                self.user = self.users.allot(guest_end) if self.users else None
                filter_ = self._filter()
                theirs.callback(os.close, filter_)
                fds = info, guest_end.fileno(), filter_
                bubblewrap = ChildProcess(self._command(etc, *fds), fds)
                self._belongings.push_async_callback(bubblewrap.kill)
            await self._meet_guest(heard)
        return bubblewrap

    def _filter(self) -> int:
        return launch.filter_file()

    def _command(self, etc: Path, info: int, control: int, filter_: int) -> list[str]:
        fds = info, control, filter_
        return launch.command(self._spec, etc, self._cgroup.doors, self.user, self.mother, *fds)

    async def _join_network(self) -> tuple[int, ...]:
        """The pid of slirp4netns, if the sandbox is to have a network."""
        if self._guest is None or self._spec.network is Network.NONE:
            return ()
        namespace = await NetworkNamespace.of(self._guest.pid, self._belongings)
        return (await self._connect(namespace, OUTPUT),)

    async def _connect(self, namespace: NetworkNamespace, post: Post) -> int:
        """Give a network namespace its way out; the pid of slirp4netns."""
        stack = self._belongings
        if self.authority is None:
            return (await network.attach(namespace, stack)).pid
        # The gate is made while the network behind it is.
        opening = asyncio.create_task(Gate.open(namespace, self._spec.egress, self.authority, stack, post))
        try:
            slirp = await network.attach(namespace, stack, gate.ADDRESSES)
            self._gate = await opening
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        return slirp.pid

    async def _meet_guest(self, heard: int) -> None:
        """Learn which process bubblewrap made. Who gives up meanwhile must still know whom to end."""
        said = bytearray()
        try:
            await _read_all(heard, said)
        finally:
            await _read_all(heard, said)
            if said:
                with contextlib.suppress(ProcessLookupError):
                    self._guest = WatchedProcess(json.loads(said)["child-pid"])

    async def _relay(self, relay: Relay) -> None:
        reply = await self._channel.call("listen", str(checked_port(relay.port)))
        if reply.error:
            raise SandboxError(f"cannot listen on port {relay.port} inside: {os.strerror(reply.error)}")
        server = RelayServer(_adopt(reply.take()), relay)
        self._belongings.push_async_callback(server.close)

    async def _keep(self) -> None:
        watching = asyncio.create_task(health.unhealthy(self._channel))
        watching.add_done_callback(lambda _: self._ending.set())
        try:
            await self._ending.wait()
        finally:
            watching.cancel()
        await self._end()

    async def _end(self) -> None:
        """The guest agent first: with process 1, the kernel ends every process of the namespace."""
        try:
            async with self._belongings:
                async with self._changing:
                    freezer.thaw(self._cgroup.paths)
                if self._guest is not None:
                    await self._guest.kill()
        finally:
            self._gone.set()
            self._ended(self)


async def _read_all(heard: int, said: bytearray) -> None:
    """Add to `said` what bubblewrap tells of the process it made; it closes the pipe then."""
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while True:
                await readable(heard)
                part = os.read(heard, 4096)
                if not part:
                    return
                said += part
    except TimeoutError:
        raise SandboxError(f"bubblewrap did not start in {START_TIMEOUT_SECONDS:g} s") from None


async def _greeted(channel: Calls, bubblewrap: ChildProcess) -> None:
    try:
        await channel.greeted()
    except SandboxGone:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_TIMEOUT_SECONDS):
                await bubblewrap.wait()
        raise SandboxError(launch.explained(bubblewrap.complaints())) from None


def checked_port(port: int) -> int:
    if not 1 <= port <= 65_535:
        raise SandboxError(f"a port is a number from 1 to 65535; not {port}")
    return port


def _adopt(fd: int) -> socket.socket:
    """The TCP socket that the guest agent sent, if it is one."""
    try:
        adopted = socket.socket(fileno=fd)
    except OSError:
        os.close(fd)
        raise SandboxError("the guest agent sent something else than a socket") from None
    adopted.setblocking(False)
    if (adopted.family, adopted.type) != (socket.AF_INET, socket.SOCK_STREAM):
        adopted.close()
        raise SandboxError("the guest agent sent something else than a TCP socket")
    return adopted


async def _connected(dialled: socket.socket, port: int) -> None:
    await writable(dialled.fileno())
    error = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    # A port that nobody listens on can be met by a socket that was given the same one, and so meets itself.
    if not error and dialled.getsockname() == dialled.getpeername():
        error = errno.ECONNREFUSED
    if error:
        raise unreachable(error, port)


def unreachable(error: int, port: int) -> Exception:
    if error == errno.ECONNREFUSED:
        return ConnectionRefusedError(error, f"nothing listens on port {port} of the sandbox")
    return SandboxError(f"cannot connect to port {port} of the sandbox: {os.strerror(error)}")
