"""The sandboxes of this host that have processes, and whose turn it is to change one."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

from innkeeper.engines.sandbox.sandbox import Sandbox, SandboxError, Usage
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound, QuotaExceeded
from innkeeper.services.sandboxes import store
from innkeeper.services.sandboxes.model import SandboxRecord, SandboxState

_Result = TypeVar("_Result")
Change = Callable[[SandboxRecord], Awaitable[_Result]]


class Live:
    """One life of a sandbox, with an `id` of its own. `record` is as the database has it. `uses` are the file
    transfers under way. `not_before` is when what failed may be tried again; it and `last_used` are readings
    of the monotonic clock."""

    def __init__(self, record: SandboxRecord, sandbox: Sandbox, clock: Clock) -> None:
        self.id = uuid4().hex
        self.record = record
        self.sandbox = sandbox
        self.uses = 0
        self.last_used = clock.monotonic()
        self.not_before = 0.0
        self.watch: asyncio.Task[None] | None = None
        self._clock = clock

    @property
    def running(self) -> bool:
        return self.record.state is SandboxState.RUNNING

    def touch(self) -> None:
        self.last_used = self._clock.monotonic()

    async def usage(self) -> Usage:
        """Nothing once it has ended."""
        try:
            return await self.sandbox.usage()
        except (SandboxError, OSError):
            return Usage()


class Lives:
    """At most `most` at a time."""

    def __init__(self, database: Database, clock: Clock, most: int) -> None:
        self._database = database
        self._clock = clock
        self._most = most
        self._live: dict[str, Live] = {}
        self._starting = 0
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._asked: set[str] = set()
        self._changes: set[asyncio.Task[Any]] = set()

    @property
    def all(self) -> tuple[Live, ...]:
        return tuple(self._live.values())

    def get(self, id_: str) -> Live | None:
        return self._live.get(id_)

    def add(self, record: SandboxRecord, sandbox: Sandbox) -> Live:
        live = self._live[record.id] = Live(record, sandbox, self._clock)
        return live

    def remove(self, live: Live) -> None:
        """It is not watched any more."""
        self._live.pop(live.record.id, None)
        if live.watch is not None and live.watch is not asyncio.current_task():
            live.watch.cancel()

    @contextmanager
    def place(self, count: int) -> Iterator[None]:
        """For sandboxes that start. Raises QuotaExceeded."""
        if len(self._live) + self._starting + count > self._most:
            raise QuotaExceeded(f"This host runs at most {self._most} sandboxes")
        self._starting += count
        try:
            yield
        finally:
            self._starting -= count

    async def find(self, account: str, id_: str) -> SandboxRecord:
        """Also one that has ended. Raises NotFound."""
        async with self._database.begin() as connection:
            found = await store.find_sandbox(connection, account, id_)
        if found is None:
            raise NotFound(f"Sandbox {id_[:40]} does not exist")
        return found

    async def update(self, record: SandboxRecord, **values: Any) -> SandboxRecord:
        """Write what has changed; whoever holds the live one sees it."""
        values["changed_at"] = self._clock.now()
        async with self._database.begin() as connection:
            await store.update_sandbox(connection, record.id, values)
        changed = replace(record, **values)
        if live := self._live.get(record.id):
            live.record = changed
        return changed

    def changing(self, id_: str) -> bool:
        return self._lock(id_).locked()

    async def change(self, account: str, id_: str, change: Change[_Result]) -> _Result:
        """What somebody asks for; it waits for what goes on by itself. Raises Conflict while another such
        change is under way; NotFound, also when it has ended."""
        if id_ in self._asked:
            await self.find(account, id_)  # whether it is there is its own tenant's to know
            raise Conflict(f"Another change of sandbox {id_} is under way; try again when it is done")
        self._asked.add(id_)
        try:
            return await self.in_turn(account, id_, change)
        finally:
            self._asked.discard(id_)

    async def in_turn(self, account: str, id_: str, change: Change[_Result]) -> _Result:
        """After those that are under way. Raises NotFound, also when it has ended."""

        async def one() -> _Result:
            async with self._lock(id_):
                record = await self.find(account, id_)
                if record.state is SandboxState.TERMINATED:
                    raise NotFound(f"Sandbox {id_} has ended: {record.end_reason}")
                return await change(record)

        return await self.whole(one())

    async def whole(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """To its end, also when who asked for it goes away."""
        task = asyncio.create_task(work)
        self._changes.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def settled(self, timeout_seconds: float) -> None:
        """Wait for the changes under way."""
        if self._changes:
            await asyncio.wait(self._changes, timeout=timeout_seconds)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._changes.discard(task)
        if not task.cancelled():
            task.exception()  # told to who asked, unless that one has gone

    def _lock(self, id_: str) -> asyncio.Lock:
        return self._locks.setdefault(id_, asyncio.Lock())
