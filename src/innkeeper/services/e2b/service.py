"""E2B's control API, on our sandboxes."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from innkeeper.engines.sandbox.sandbox import Network
from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, InnkeeperError, InvalidRequest, NotFound
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.e2b import model, network
from innkeeper.services.e2b.build import shown
from innkeeper.services.e2b.builds import Builds
from innkeeper.services.e2b.guests import Guests
from innkeeper.services.e2b.keys import Keys
from innkeeper.services.e2b.metrics import Point, series
from innkeeper.services.e2b.model import Refused
from innkeeper.services.sandboxes.model import OnTimeout, SandboxRecord, SandboxState, SnapshotRecord
from innkeeper.services.sandboxes.service import Sandboxes

_FORKS_MAX = 20
_LISTED_MAX = 10_000
_STATES = {
    "running": (SandboxState.RUNNING,),
    "paused": (SandboxState.PAUSED, SandboxState.HIBERNATED),
}
_SANDBOXES = Cursor("sandboxes of E2B", datetime, str)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sandboxes a list is of."""

    states: tuple[str, ...] = ()
    metadata: Mapping[str, str] | None = None
    started_after: datetime | None = None
    template: str = ""
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides: the domain whose names lead to us, if any; whether the ports of sandboxes
    are open to all who know their names; how long a stream may last, and how large a file may be."""

    domain: str
    public_ports: bool
    stream_seconds: float
    file_max_bytes: int
    cell_timeout_seconds: float


class E2b:
    def __init__(self, sandboxes: Sandboxes, keys: Keys, builds: Builds, rules: Rules, clock: Clock) -> None:
        self.keys = keys
        self.builds = builds
        self.rules = rules
        self.guests = Guests(sandboxes, rules.cell_timeout_seconds, clock)
        self._sandboxes = sandboxes
        self._clock = clock

    async def close(self) -> None:
        await self.guests.close()

    async def create(self, account: str, body: Mapping[str, Any]) -> Document:
        new = model.new_sandbox(body)
        public = model.public_ports(body)
        if public is not None and public is not self.rules.public_ports:
            rule = "open to all" if self.rules.public_ports else "reached with the traffic access token alone"
            raise InvalidRequest(f"this server's sandboxes have ports that are {rule}: leave it at that")
        template, limits = await self.builds.find(account, new.template)
        new = replace(new, template=template, limits=limits)
        record = await self._sandboxes.create(account, new, network.wanted(body))
        if new.template not in model.BUILT_IN:
            await self._inherit(account, new.template, record)
        return self._created(record)

    async def get(self, account: str, sandbox_id: str) -> Document:
        record = await self._there(account, sandbox_id)
        tokens = self._created(record)
        shown = {**model.detailed(record), "envdAccessToken": tokens["envdAccessToken"]}
        if record.network == Network.LISTED:
            shown["network"] = network.shown(self._sandboxes.egress(record))
        return shown

    async def find(self, account: str, wanted: Wanted, page: PageRequest) -> Page[Document]:
        states = [state for name in wanted.states for state in _states(name)]
        found = await self._all(account, states, wanted.metadata or {})
        kept = [record for record in found if _is_wanted(record, wanted)]
        kept.sort(key=_place, reverse=not wanted.oldest_first)
        if after := _SANDBOXES.after(page):
            kept = [
                one for one in kept if _place(one) != after and (_place(one) > after) is wanted.oldest_first
            ]
        part = _SANDBOXES.page(page, kept[: page.size + 1], key=_place)
        return Page([model.listed(record) for record in part.items], part.next_token)

    async def connect(self, account: str, sandbox_id: str, body: Mapping[str, Any]) -> Document:
        """Wake it if it sleeps. One that runs lives on for at least so long."""
        if body.get("memory") is False:
            raise InvalidRequest("a sandbox is resumed with its memory: on_resume must be restore")
        await self._there(account, sandbox_id)
        seconds = model.timeout(body)
        return self._created(await self._sandboxes.resume(account, sandbox_id, seconds))

    async def pause(self, account: str, sandbox_id: str, body: Mapping[str, Any]) -> None:
        """Raises Refused when it is paused already."""
        if body.get("memory") is False:
            raise InvalidRequest("a sandbox is paused with its memory: mode must be full")
        if (await self._there(account, sandbox_id)).state is not SandboxState.RUNNING:
            raise Refused(409, f"Sandbox {sandbox_id} is paused already")
        await self._sandboxes.pause(account, sandbox_id)

    async def kill(self, account: str, sandbox_id: str) -> None:
        await self._there(account, sandbox_id)
        await self._sandboxes.kill(account, sandbox_id)

    async def set_timeout(self, account: str, sandbox_id: str, body: Mapping[str, Any]) -> None:
        """None left: what is to happen when its time is over happens now."""
        record, seconds = await self._there(account, sandbox_id), model.timeout(body)
        if seconds:
            await self._sandboxes.set_timeout(account, sandbox_id, seconds)
        elif record.on_timeout is OnTimeout.KILL:
            await self._sandboxes.kill(account, sandbox_id)
        else:
            await self._sandboxes.pause(account, sandbox_id)

    async def set_network(self, account: str, sandbox_id: str, body: Mapping[str, Any]) -> None:
        """Raises InvalidRequest, Conflict for a sandbox that was made without rules."""
        record = await self._there(account, sandbox_id)
        if record.network != Network.LISTED:
            raise Conflict(
                f"Sandbox {sandbox_id} was made without rules for its network, which stays as it is; "
                "create it with `network`, for example with deny_out"
            )
        network.has_rules(body)
        egress = network.egress(body, body.get("allow_internet_access"))
        await self._sandboxes.set_egress(account, sandbox_id, egress)

    async def metrics(
        self, account: str, sandbox_id: str, start: datetime | None, end: datetime | None
    ) -> list[Document]:
        """Of this time, as far as they were taken, and of now."""
        record = await self._there(account, sandbox_id)
        usage = await self._sandboxes.usage(account, sandbox_id)
        points = [*self.guests.points(sandbox_id), Point.of(self._clock.now(), usage)]
        return series(record, points, start, end)

    async def fork(self, account: str, sandbox_id: str, body: Mapping[str, Any]) -> list[Document]:
        """All of them or, in the words of an error, none. What goes on in one goes on in all."""
        await self._there(account, sandbox_id)
        count = body.get("count", 1)
        if not isinstance(count, int) or not 1 <= count <= _FORKS_MAX:
            raise InvalidRequest(f"`count` must be 1 to {_FORKS_MAX}")
        heritage = self.guests.heritage(sandbox_id)
        made = []
        for record in await self._sandboxes.fork(account, sandbox_id, count):
            self.guests.expect(record.id, heritage)
            changed = await self._sandboxes.set_timeout(account, record.id, model.timeout(body))
            made.append({"sandbox": self._created(changed)})
        return made

    async def snapshot(self, account: str, sandbox_id: str, body: Mapping[str, Any]) -> Document:
        if body.get("memory") is False:
            raise InvalidRequest("a snapshot is taken with memory where that can be done: mode must be full")
        await self._there(account, sandbox_id)
        name = body.get("name")
        if not isinstance(name, str | None):
            raise InvalidRequest("`name` must be a text")
        heritage = self.guests.heritage(sandbox_id)
        made = await self._sandboxes.snapshot(account, sandbox_id, name)
        self.guests.keep(account, made.id, heritage)
        return _shown(made)

    async def snapshots(self, account: str, sandbox_id: str, name: str, page: PageRequest) -> Page[Document]:
        """Newest first. A page of those of one sandbox may have fewer than were asked for."""
        found = await self._sandboxes.snapshots(account, page)
        wanted = [
            _shown(one)
            for one in found.items
            if one.sandbox == (sandbox_id or one.sandbox) and name in ("", one.name)
        ]
        return Page(wanted, found.next_token)

    async def delete_template(self, account: str, word: str) -> None:
        """All builds of a template, or a snapshot. Raises NotFound, Conflict."""
        if not await self.builds.delete(account, word):
            await self._sandboxes.delete_snapshot(account, word)

    async def owner(self, sandbox_id: str) -> str:
        """The account of a sandbox. Raises Refused."""
        try:
            return await self._sandboxes.account_of(sandbox_id)
        except NotFound as error:
            raise model.not_running(sandbox_id) from error

    async def _there(self, account: str, sandbox_id: str) -> SandboxRecord:
        """Raises NotFound, also once it has ended."""
        record = await self._sandboxes.get(account, sandbox_id)
        if record.state is SandboxState.TERMINATED:
            raise NotFound(f"Sandbox {sandbox_id} does not exist any more")
        return record

    async def _all(
        self, account: str, states: Sequence[SandboxState], metadata: Mapping[str, str]
    ) -> list[SandboxRecord]:
        found: list[SandboxRecord] = []
        token: str | None = None
        while len(found) < _LISTED_MAX:
            page = await self._sandboxes.list(account, states, metadata, PageRequest.of(1000, token))
            found += page.items
            token = page.next_token
            if token is None:
                break
        return found

    async def _inherit(self, account: str, template: str, record: SandboxRecord) -> None:
        """Go on with what a snapshot had, if it was one."""
        with contextlib.suppress(NotFound):
            snapshot = await self._sandboxes.get_snapshot(account, template)
            self.guests.expect(record.id, self.guests.kept(account, snapshot.id))

    def _created(self, record: SandboxRecord) -> Document:
        envd, traffic = (self.keys.token(record.account, record.id, use) for use in ("envd", "traffic"))
        return model.created(record, envd, traffic, self.rules.domain)


def _shown(snapshot: SnapshotRecord) -> Document:
    return {"snapshotID": snapshot.id, "names": [snapshot.name] if snapshot.name else []}


def _states(name: str) -> tuple[SandboxState, ...]:
    if name not in _STATES:
        raise InvalidRequest("`state` must be running or paused")
    return _STATES[name]


def _is_wanted(record: SandboxRecord, wanted: Wanted) -> bool:
    late_enough = wanted.started_after is None or record.started_at > wanted.started_after
    return late_enough and wanted.template in ("", shown(record.template))


def _place(record: SandboxRecord) -> tuple[datetime, str]:
    return record.started_at, record.id


def error_document(error: InnkeeperError) -> Document:
    return {"code": status_of(error), "message": error.message}


def status_of(error: InnkeeperError) -> int:
    """E2B's clients know no 402: too much is 429."""
    return 429 if error.status == 402 else error.status
