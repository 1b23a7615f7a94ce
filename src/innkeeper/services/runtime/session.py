"""One live session: a sandbox with an agent in it, and what it is doing."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
from yarl import URL

from innkeeper.engines.sandbox.client import sandbox_client
from innkeeper.engines.sandbox.sandbox import Process, Sandbox, Usage
from innkeeper.kernel.clock import Clock
from innkeeper.services.runtime.model import RuntimeVersion, SessionImage, SessionRecord, SessionStatus
from innkeeper.services.runtime.session_log import SessionLog

_DRAIN_SECONDS = 1.0
_PING_TIMEOUT_SECONDS = 5.0
_PING_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Ping:
    """An agent's word on itself: `Healthy` or `HealthyBusy`, and when that last changed (Unix seconds)."""

    status: str
    time_of_last_update: float | None = None

    @property
    def busy(self) -> bool:
        return self.status == "HealthyBusy"


class Session:
    """Made when it begins to start, or to wake; it has a sandbox and an agent from `open` to `close`.

    `record` is as it was then. `started` and `last_used` are readings of the monotonic clock. `image` is what
    it was last woken from. `ended` is set when it is over, or hibernated. `meter` names what is metered: each
    of its sandboxes by itself. `seal_credentials` gives those in its agent's memory; `released` is called
    when it has no sandbox any more. Who pauses, resumes or hibernates it holds `transition`.
    """

    sandbox: Sandbox
    agent: Process
    http: aiohttp.ClientSession

    def __init__(
        self,
        record: SessionRecord,
        version: RuntimeVersion,
        log: Path,
        clock: Clock,
        image: SessionImage | None = None,
    ) -> None:
        self.record = record
        self.id = record.id
        self.key = record.key
        self.version = version
        self.image = image
        self.meter = uuid4().hex
        self.status = SessionStatus.STARTING
        self.end_reason: str | None = None
        self.access_key_id = ""
        self.seal_credentials: Callable[[], bytes | None] = _nothing
        self.released: Callable[[], None] = _nothing
        self.mcp_session = image.mcp_session if image else None
        self.log_path = log
        self.ended = asyncio.Event()
        self.transition = asyncio.Lock()
        self.active = 0
        self.last_used = clock.monotonic()
        self.started = self.last_used - (clock.now() - record.started_at).total_seconds()
        self.watch: asyncio.Task[None] | None = None
        self._clock = clock
        self._pumps: list[asyncio.Task[None]] = []

    def open(self, sandbox: Sandbox, agent: Process, log: SessionLog) -> None:
        """The sandbox runs and the agent has been started in it; what it prints goes to the log."""
        self.sandbox = sandbox
        self.agent = agent
        self.log = log
        self.http = sandbox_client(sandbox)
        self._pumps = [asyncio.create_task(log.pump(stream)) for stream in (agent.stdout, agent.stderr)]

    async def close(self) -> None:
        """Kill the sandbox and let go of everything. The log keeps what was printed until now."""
        await self.http.close()
        await self.sandbox.kill()
        await asyncio.wait(self._pumps, timeout=_DRAIN_SECONDS)
        for pump in self._pumps:
            pump.cancel()
        self.agent.close()
        self.log.close()
        self.released()

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """While a request, a command or a connection is under way, the session is not idle."""
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1
            self.touch()

    def ready(self) -> None:
        """It may be used, and its idle time begins: one that took long to get here has not been idle."""
        self.touch()
        self.status = SessionStatus.READY

    def touch(self) -> None:
        self.last_used = self._clock.monotonic()

    @property
    def agent_key_id(self) -> str:
        """That of the agent's process, which keeps what it began with."""
        return self.image.access_key_id if self.image else self.access_key_id

    def told(self, usage: Usage) -> SessionRecord:
        """What is to be said of it now: `usage` is that of its present sandbox, to which that of earlier ones
        is added."""
        idle = 0.0 if self.active else self._clock.monotonic() - self.last_used
        return replace(
            self.record,
            status=self.status,
            last_used_at=self._clock.now() - timedelta(seconds=idle),
            cpu_seconds=self.record.cpu_seconds + usage.cpu_seconds,
            memory_peak_mib=max(self.record.memory_peak_mib, usage.memory_peak_mib),
        )

    def url(self, path: str) -> URL:
        """Where the agent is asked; `path` is taken as it is, percent signs and all."""
        return URL(f"http://127.0.0.1:{self.version.contract.port}{path}", encoded=True)

    async def ping(self) -> Ping | None:
        """Ask the agent how it is. None when it does not answer as the contract says."""
        timeout = aiohttp.ClientTimeout(total=_PING_TIMEOUT_SECONDS)
        try:
            async with self.http.get(self.url("/ping"), timeout=timeout) as answer:
                if answer.status != 200:
                    return None
                body = json.loads(await answer.content.read(_PING_MAX_BYTES) or b"{}")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
        if not isinstance(body, dict):
            return None
        updated = body.get("time_of_last_update")
        return Ping(str(body.get("status", "Healthy")), updated if isinstance(updated, int | float) else None)


def _nothing() -> None:
    pass
