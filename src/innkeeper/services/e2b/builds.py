"""Template builds of E2B's SDK, on our templates: each build is a template of its own."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import uuid4

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, InvalidRequest, NotFound
from innkeeper.services.e2b import store
from innkeeper.services.e2b.build import DEFAULT_TAG, Build, Tag, checked_tags, named
from innkeeper.services.e2b.making import BuildLog, Making, entry
from innkeeper.services.e2b.model import BUILT_IN, template_of
from innkeeper.services.e2b.recipe import Plan, Recipe, plan
from innkeeper.services.e2b.uploads import Uploads
from innkeeper.services.sandboxes.model import SandboxLimits, TemplateRecord, TemplateState
from innkeeper.services.sandboxes.service import Sandboxes

_ENTRIES_MAX = 100  # of a log, in one answer
_REASON_CHARACTERS = 2_000
_LOGS_MAX = 100
_WAITING_SECONDS = 86_400.0
_STATUS = {
    TemplateState.BUILDING: "building",
    TemplateState.READY: "ready",
    TemplateState.FAILED: "error",
}


class Builds:
    def __init__(
        self, database: Database, sandboxes: Sandboxes, uploads: Uploads, step_seconds: float, clock: Clock
    ) -> None:
        self.uploads = uploads
        self._database = database
        self._templates = sandboxes.templates
        self._step_seconds = step_seconds
        self._clock = clock
        self._logs: OrderedDict[str, BuildLog] = OrderedDict()

    async def request(self, account: str, body: Mapping[str, Any]) -> Document:
        """Make room for a build, which is started next. Raises InvalidRequest, Conflict."""
        name, tag = named(body.get("name") or body.get("alias"))
        tags = checked_tags([*([tag] if tag else []), *(body.get("tags") or [])]) or [DEFAULT_TAG]
        if template_of(name) in BUILT_IN:
            raise InvalidRequest(f"{name} is the system's own: choose another name")
        if await self._templates.find(account, name):
            raise Conflict(f"a template {name} was not built by E2B's SDK: choose another name")
        await self._prune(account, name)
        cores, memory = self._limits(body)
        build = Build(account, str(uuid4()), name, self._clock.now(), cores, memory)
        async with self._database.begin() as connection:
            await store.insert_build(connection, build)
            await store.put_tags(connection, build, tags, build.created_at)
        return {
            "templateID": name,
            "buildID": build.id,
            "public": False,
            "names": [name],
            "aliases": [name],
            "tags": list(tags),
        }

    async def start(self, account: str, name: str, build_id: str, body: Mapping[str, Any]) -> None:
        """Raises NotFound, InvalidRequest naming what cannot be done, Conflict, QuotaExceeded."""
        build = await self._build(account, name, build_id)
        recipe = await self._whole(account, Recipe.of(body))
        planned = plan(recipe)
        for step in planned.steps:
            if step.files and not await self.uploads.has(account, step.files):
                raise InvalidRequest(f"{step.shown}: its files were not uploaded")
        log = self._logs[build.id] = BuildLog(self._clock)
        while len(self._logs) > _LOGS_MAX:
            self._logs.popitem(last=False)
        for note in planned.notes:
            log.add(note, "warn" if "stand in" in note else "info")
        async with self._database.begin() as connection:
            await store.start_build(connection, build, asdict(recipe))
        await self._templates.build(
            account, build.template, planned.spec, self._making(account, planned, log)
        )

    async def status(self, account: str, name: str, build_id: str, offset: int) -> Document:
        """Raises NotFound."""
        build = await self._build(account, name, build_id)
        record = await self._templates.find(account, build.template)
        log = self._logs.get(build.id)
        failed = record is not None and record.state is TemplateState.FAILED
        said = record.log[-_REASON_CHARACTERS:] if record else ""
        reason = {"message": said, "step": log.step if log else "base"}
        return {
            "templateID": name,
            "buildID": build.id,
            "status": _STATUS[record.state] if record else "waiting",
            "logs": [],
            "logEntries": _entries(log, record)[offset:][:_ENTRIES_MAX],
            **({"reason": reason} if failed else {}),
        }

    async def find(self, account: str, text: str) -> tuple[str, SandboxLimits | None]:
        """What to make a sandbox from, where E2B's clients say this, and its limits. Without a tag that is
        ready, `default` is the newest build. Raises NotFound for a tag that is none."""
        name, _, tag = text.partition(":")
        builds = {build.id: build for build in await self._builds(account, name)}
        if not builds:
            return template_of(text), None
        wanted = [one.build for one in await self._tags(account, name) if one.tag == (tag or DEFAULT_TAG)]
        for build_id in (*wanted, *(() if tag else builds)):
            build = builds.get(build_id)
            if build and await self._is_ready(build):
                return build.template, build.limits(self._templates.most)
        raise NotFound(f"Template {text[:128]} has no build that is ready")

    async def exists(self, account: str, text: str) -> bool:
        name = template_of(text.partition(":")[0])
        known = name in BUILT_IN or await self._templates.find(account, name)
        return bool(known or await self._builds(account, name))

    async def newest(self, account: str) -> list[Document]:
        """The last build of each template."""
        async with self._database.begin() as connection:
            newest = {build.name: build for build in reversed(await store.list_builds(connection, account))}
        return [await self._listed(build) for build in newest.values()]

    async def delete(self, account: str, name: str) -> bool:
        """All builds of a template; sandboxes made from them live on. Whether there were any. Raises Conflict
        while one is built."""
        builds = await self._builds(account, name)
        for build in builds:
            await self._delete(build)
        return bool(builds)

    async def tags(self, account: str, name: str) -> list[Document]:
        """Raises NotFound."""
        builds = {build.id for build in await self._builds(account, name)}
        if not builds:
            raise NotFound(f"Template {name[:128]} does not exist")
        newest: dict[str, Tag] = {}
        for one in await self._tags(account, name):
            newest.setdefault(one.tag, one)
        return [
            {"tag": one.tag, "buildID": one.build, "createdAt": one.created_at.isoformat()}
            for one in newest.values()
        ]

    async def assign_tags(self, account: str, body: Mapping[str, Any]) -> Document:
        """Raises NotFound, InvalidRequest."""
        name, tag = named(body.get("target"))
        tags = checked_tags(body.get("tags"))
        for one in await self._tags(account, name):
            if one.tag == (tag or DEFAULT_TAG) and tags:
                build = await self._build(account, name, one.build)
                async with self._database.begin() as connection:
                    await store.put_tags(connection, build, tags, self._clock.now())
                return {"buildID": build.id, "tags": list(tags)}
        raise NotFound(f"Template {name}:{tag or DEFAULT_TAG} does not exist")

    async def remove_tags(self, account: str, body: Mapping[str, Any]) -> None:
        """Raises InvalidRequest."""
        name, _ = named(body.get("name"))
        async with self._database.begin() as connection:
            await store.delete_tags(connection, account, name, checked_tags(body.get("tags")))

    def _limits(self, body: Mapping[str, Any]) -> tuple[float | None, int | None]:
        most = self._templates.most
        cores, memory = body.get("cpuCount"), body.get("memoryMB")
        if cores is not None and not (isinstance(cores, int) and 0 < cores <= most.cpu_cores):
            raise InvalidRequest(f"`cpuCount` must be 1 to {most.cpu_cores:g}")
        if memory is not None and not (isinstance(memory, int) and 16 <= memory <= most.memory_mib):
            raise InvalidRequest(f"`memoryMB` must be 16 to {most.memory_mib}")
        return cores, memory

    def _making(self, account: str, planned: Plan, log: BuildLog) -> Making:
        return Making(planned.steps, partial(self.uploads.path, account), log, self._step_seconds)

    async def _whole(self, account: str, recipe: Recipe) -> Recipe:
        """With the steps of the build that it begins from, if it does. Raises NotFound."""
        if not recipe.template or template_of(recipe.template) in BUILT_IN:
            return recipe
        found, _ = await self.find(account, recipe.template)
        for build in await self._builds(account, recipe.template.partition(":")[0]):
            if build.template == found and build.recipe is not None:
                return recipe.after(Recipe.kept(build.recipe))
        return recipe

    async def _build(self, account: str, name: str, build_id: str) -> Build:
        async with self._database.begin() as connection:
            build = await store.find_build(connection, account, build_id)
        if build is None or build.name != name:
            raise NotFound(f"Template {name[:128]} has no build {build_id[:64]}")
        return build

    async def _builds(self, account: str, name: str) -> list[Build]:
        async with self._database.begin() as connection:
            return list(await store.list_builds(connection, account, name))

    async def _tags(self, account: str, name: str) -> list[Tag]:
        async with self._database.begin() as connection:
            return list(await store.list_tags(connection, account, name))

    async def _is_ready(self, build: Build) -> bool:
        record = await self._templates.find(build.account, build.template)
        return record is not None and record.state is TemplateState.READY

    async def _listed(self, build: Build) -> Document:
        record = await self._templates.find(build.account, build.template)
        limits = build.limits(self._templates.most)
        return {
            "templateID": build.name,
            "buildID": build.id,
            "names": [build.name],
            "aliases": [build.name],
            "public": False,
            "cpuCount": max(1, round(limits.cpu_cores)),
            "memoryMB": limits.memory_mib,
            "diskSizeMB": 0,
            "createdAt": build.created_at.isoformat(),
            "updatedAt": build.created_at.isoformat(),
            "buildStatus": _STATUS[record.state] if record else "waiting",
        }

    async def _prune(self, account: str, name: str) -> None:
        """Forget the builds that no tag means any more, and files that no build needs."""
        kept: dict[str, str] = {}
        builds = {build.id: build for build in await self._builds(account, name)}
        for one in await self._tags(account, name):
            build = builds.get(one.build)
            if build and one.tag not in kept and await self._is_ready(build):
                kept[one.tag] = one.build
        for build in builds.values():
            record = await self._templates.find(account, build.template)
            age = (self._clock.now() - build.created_at).total_seconds()
            ended = record is not None and record.state is not TemplateState.BUILDING
            if build.id not in kept.values() and (ended or age > _WAITING_SECONDS):
                await self._delete(build)
        async with self._database.begin() as connection:
            left = await store.list_builds(connection, account)
        needed = {one for build in left if build.recipe for one in Recipe.kept(build.recipe).files}
        await self.uploads.prune(account, needed)

    async def _delete(self, build: Build) -> None:
        if await self._templates.find(build.account, build.template):
            await self._templates.delete(build.account, build.template)
        self._logs.pop(build.id, None)
        async with self._database.begin() as connection:
            await store.delete_build(connection, build)


def _entries(log: BuildLog | None, record: TemplateRecord | None) -> list[Document]:
    """What was told as it happened, and after its end what the template remembers of it."""
    ended = record is not None and record.state is not TemplateState.BUILDING
    lines = record.log.splitlines() if record and ended else []
    level = "info" if record and record.state is TemplateState.READY else "error"
    return [
        *(log.entries if log else ()),
        *(entry(record.created_at, line, level, "finalize") for line in lines if record),
    ]
