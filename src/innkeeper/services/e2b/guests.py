"""What E2B's clients have going on in sandboxes: their commands, terminals, watchers and code contexts."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from innkeeper.engines.sandbox.sandbox import Sandbox
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound
from innkeeper.services.e2b.contexts import Contexts
from innkeeper.services.e2b.contexts import Remembered as RememberedContext
from innkeeper.services.e2b.files_agent import FilesAgent, Watcher
from innkeeper.services.e2b.metrics import INTERVAL_SECONDS, Meter, Point
from innkeeper.services.e2b.model import not_running
from innkeeper.services.e2b.processes import Processes
from innkeeper.services.e2b.processes import Remembered as RememberedProcess
from innkeeper.services.sandboxes.model import OnTimeout, SandboxState
from innkeeper.services.sandboxes.service import Sandboxes

_KEPT_MAX = 1000
_SETTLE_TRIES, _SETTLE_SECONDS = 60, 1.0  # until the record of a sandbox that has ended says why


@dataclass(frozen=True, slots=True)
class Heritage:
    """What a sandbox that is restored goes on with."""

    processes: list[RememberedProcess]
    contexts: list[RememberedContext]
    watchers: list[Watcher]
    files_agent: int | None


class Guest:
    """All of one sandbox, while it is in memory."""

    def __init__(self, sandbox: Sandbox, cell_timeout_seconds: float) -> None:
        self.sandbox = sandbox
        self.processes = Processes(sandbox)
        self.contexts = Contexts(sandbox, cell_timeout_seconds)
        self.files = FilesAgent(sandbox)

    def heritage(self, with_watchers: bool) -> Heritage:
        watchers = self.files.watchers if with_watchers else []
        return Heritage(self.processes.roster(), self.contexts.roster(), watchers, self.files.pid)

    def adopt(self, heritage: Heritage, copied: bool) -> None:
        self.processes.adopt(heritage.processes)
        self.contexts.adopt(heritage.contexts, copied)
        self.files.adopt(heritage.files_agent, heritage.watchers)

    def close(self) -> None:
        self.processes.close()
        self.contexts.close()
        self.files.close()


class Guests:
    """Those of this host. A sandbox that is hibernated and woken, or forked, keeps what went on in it as far
    as its snapshot does."""

    def __init__(self, sandboxes: Sandboxes, cell_timeout_seconds: float, clock: Clock) -> None:
        self._sandboxes = sandboxes
        self._clock = clock
        self._meters: dict[str, Meter] = {}
        self._sampling: asyncio.Task[None] | None = None
        self._cell_timeout_seconds = cell_timeout_seconds
        self._guests: dict[str, Guest] = {}
        self._heirs: dict[str, Heritage] = {}
        self._kept: OrderedDict[tuple[str, str], Heritage] = OrderedDict()
        self._watches: set[asyncio.Task[None]] = set()

    async def get(self, account: str, sandbox_id: str, wake: bool = True) -> Guest:
        """Of a sandbox that runs. One that sleeps is woken only where its maker wants that, and not but for
        being looked at (`wake`). Raises Refused."""
        try:
            record = await self._sandboxes.get(account, sandbox_id)
            wakes = wake and record.on_timeout is OnTimeout.WAKE
            if record.state is not SandboxState.RUNNING and not wakes:
                raise not_running(sandbox_id)
            sandbox = await self._sandboxes.live(account, sandbox_id)
        except NotFound as error:
            raise not_running(sandbox_id) from error
        guest = self._guests.get(sandbox_id)
        if guest is None or guest.sandbox is not sandbox:
            guest = self._welcome(account, sandbox_id, sandbox)
        return guest

    def heritage(self, sandbox_id: str) -> Heritage | None:
        guest = self._guests.get(sandbox_id)
        return guest.heritage(with_watchers=False) if guest else None

    def expect(self, sandbox_id: str, heritage: Heritage | None) -> None:
        """A fork, which goes on with what its parent had."""
        if heritage is not None:
            self._heirs[sandbox_id] = heritage

    def keep(self, account: str, snapshot_id: str, heritage: Heritage | None) -> None:
        """What a snapshot has, for sandboxes that are made from it; past a bound the oldest is forgotten."""
        if heritage is not None:
            self._kept[account, snapshot_id] = heritage
            while len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)

    def kept(self, account: str, snapshot_id: str) -> Heritage | None:
        return self._kept.get((account, snapshot_id))

    def points(self, sandbox_id: str) -> Sequence[Point]:
        """What was measured, since somebody did something in it."""
        meter = self._meters.get(sandbox_id)
        return tuple(meter.points) if meter else ()

    async def close(self) -> None:
        for watch in (*self._watches, *([self._sampling] if self._sampling else [])):
            watch.cancel()
        for guest in self._guests.values():
            guest.close()

    def _welcome(self, account: str, sandbox_id: str, sandbox: Sandbox) -> Guest:
        guest = Guest(sandbox, self._cell_timeout_seconds)
        heritage = self._heirs.pop(sandbox_id, None)
        before = self._guests.get(sandbox_id)
        if before is not None:
            heritage = before.heritage(with_watchers=True)
            before.close()
        if heritage is not None:
            guest.adopt(heritage, copied=before is None)
        self._guests[sandbox_id] = guest
        self._meters.setdefault(sandbox_id, Meter(account))
        if self._sampling is None:
            self._sampling = asyncio.create_task(self._sample())
        watch = asyncio.create_task(self._watch(account, sandbox_id, guest))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return guest

    async def _watch(self, account: str, sandbox_id: str, guest: Guest) -> None:
        """Forget it when it has ended for good; what is hibernated is waited for."""
        await guest.sandbox.closed()
        state = SandboxState.RUNNING
        for _ in range(_SETTLE_TRIES):
            try:
                state = (await self._sandboxes.get(account, sandbox_id)).state
            except NotFound:
                state = SandboxState.TERMINATED
            if state in (SandboxState.TERMINATED, SandboxState.HIBERNATED):
                break
            await asyncio.sleep(_SETTLE_SECONDS)
        if state is not SandboxState.HIBERNATED and self._guests.get(sandbox_id) is guest:
            del self._guests[sandbox_id]
            self._meters.pop(sandbox_id, None)
            guest.close()

    async def _sample(self) -> None:
        while True:
            for sandbox_id, meter in tuple(self._meters.items()):
                with contextlib.suppress(NotFound):
                    usage = await self._sandboxes.usage(meter.account, sandbox_id)
                    meter.points.append(Point.of(self._clock.now(), usage))
            await asyncio.sleep(INTERVAL_SECONDS)
