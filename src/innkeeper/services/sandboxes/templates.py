"""Templates: declared once, built once, and then what sandboxes begin from.

A build makes a sandbox with the packages, puts the files in, runs the set-up and the start command until the
template says that it is ready, and keeps an image of that moment.
"""

import asyncio
import logging
import shlex
from collections.abc import Awaitable, Callable, MutableSequence
from dataclasses import asdict, replace

from sqlalchemy.exc import IntegrityError

from innkeeper.engines.sandbox.images import Images
from innkeeper.engines.sandbox.sandbox import Sandbox, SandboxError
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, InnkeeperError, NotFound, QuotaExceeded
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.sandboxes import commands, files, store
from innkeeper.services.sandboxes.grounds import Grounds
from innkeeper.services.sandboxes.image_import import ImageImport
from innkeeper.services.sandboxes.model import (
    BUILT_IN,
    HOME,
    SandboxLimits,
    TemplateRecord,
    TemplateSpec,
    TemplateState,
    invalid,
    new_id,
)
from innkeeper.services.sandboxes.provisioning import Provisioner, Rules
from innkeeper.services.sandboxes.quota import Quota
from innkeeper.services.sandboxes.start_command import begin

_LOG = logging.getLogger(__name__)
_LOG_CHARACTERS = 64_000

Prepare = Callable[[Sandbox], Awaitable[None]]
"""Raises InnkeeperError, which fails the build."""


class Templates:
    def __init__(
        self,
        database: Database,
        grounds: Grounds,
        provisioner: Provisioner,
        images: Images,
        image_import: ImageImport,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._database = database
        self._grounds = grounds
        self._provisioner = provisioner
        self._images = images
        self._image_import = image_import
        self._rules = rules
        self._quota = Quota(database, rules.image_bytes)
        self._clock = clock
        self._building: set[asyncio.Task[None]] = set()
        self._pruning = asyncio.Lock()

    async def recover(self) -> None:
        """Builds that a killed server left have failed; what nothing stands on is removed."""
        async with self._database.begin() as connection:
            await store.fail_templates(connection, "the server was restarted; build it again")
        await self.prune()

    async def prune(self) -> int:
        """Remove the packages and container images that no template, snapshot or sandbox stands on, whoever's
        they were; their bytes. Raises Conflict while a template is built."""
        async with self._pruning:
            if self._building:
                raise Conflict("A template is being built: what it needs is not known yet; try again then")
            async with self._database.begin() as connection:
                grounds = await store.grounds(connection)
            await self._image_import.sweep(await self._grounds.images(grounds))
            try:
                return await self._grounds.prune(grounds)
            except BuildFailed as error:  # an interpreter is gone: nothing can be said of what it had
                _LOG.warning("packages are kept, needed or not: %s", error)
                return 0

    async def close(self) -> None:
        for building in tuple(self._building):
            building.cancel()
        await asyncio.gather(*self._building, return_exceptions=True)

    @property
    def most(self) -> SandboxLimits:
        """What a sandbox may use."""
        return self._rules.most

    async def build(
        self, account: str, name: str, spec: TemplateSpec, prepare: Prepare | None = None
    ) -> TemplateRecord:
        """Begins to; one that failed is built anew. `prepare` does more in the sandbox, before its set-up.
        Raises Conflict when the name is taken, QuotaExceeded."""
        if name in BUILT_IN:
            raise invalid("name", f"{name} is the system's own")
        async with self._database.begin() as connection:
            if await store.find_snapshot(connection, account, name):
                raise Conflict(f"A snapshot named {name} exists already")
            if await store.count_templates(connection, account) >= self._rules.snapshots:
                raise QuotaExceeded(f"An account keeps at most {self._rules.snapshots} templates")
        await self._quota.check(account)
        record = TemplateRecord(
            account, name, new_id(), spec, "", TemplateState.BUILDING, "", self._clock.now()
        )
        try:
            async with self._database.begin() as connection:
                await store.delete_failed_template(connection, account, name)
                await store.insert_template(connection, record)
        except IntegrityError as error:
            raise Conflict(f"A template named {name} exists already; delete it first") from error
        task = asyncio.create_task(self._build(record, prepare))
        self._building.add(task)
        task.add_done_callback(self._building.discard)
        return record

    async def built_in(self, name: str, home: str) -> str:
        """The ground of a template of the system's own, with this home."""
        return name if home == HOME else await self._grounds.declare(TemplateSpec(name, home=home))

    async def find(self, account: str, name: str) -> TemplateRecord | None:
        async with self._database.begin() as connection:
            return await store.find_template(connection, account, name)

    async def get(self, account: str, name: str) -> TemplateRecord:
        """Raises NotFound."""
        found = await self.find(account, name)
        if found is None:
            raise NotFound(f"Template {name[:64]} does not exist")
        return found

    async def list(self, account: str, page: PageRequest) -> Page[TemplateRecord]:
        """By name."""
        async with self._database.begin() as connection:
            found = await store.list_templates(connection, account, page)
        return store.TEMPLATES.page(page, found, key=lambda one: (one.name,))

    async def delete(self, account: str, name: str) -> None:
        """What was made from it lives on. Raises NotFound, and Conflict while it is built."""
        found = await self.get(account, name)
        if found.state is TemplateState.BUILDING:
            raise Conflict(f"Template {name} is being built")
        async with self._database.begin() as connection:
            await store.delete_template(connection, account, found.id)
        if found.image is not None:
            await self._images.delete(found.image)

    async def _build(self, record: TemplateRecord, prepare: Prepare | None) -> None:
        log: list[str] = []
        values: dict[str, object] = {"state": TemplateState.FAILED}
        try:
            async with self._pruning:  # what is removed now, is not found now
                pass
            async with asyncio.timeout(self._rules.build_seconds):
                values = await self._made(record, prepare, log)
        except (InnkeeperError, SandboxError) as error:
            log.append(str(error))
        except TimeoutError:
            log.append(f"the build took longer than {self._rules.build_seconds:g} s")
        except Exception:
            _LOG.exception("the build of template %s failed", record.id)
            log.append("the build failed; the server's log says why")
        try:
            async with self._database.begin() as connection:
                told = {**values, "log": "\n".join(log)[-_LOG_CHARACTERS:]}
                await store.update_template(connection, record.id, told)
        except Exception:
            _LOG.exception("the state of template %s could not be written", record.id)

    async def _made(
        self, record: TemplateRecord, prepare: Prepare | None, log: MutableSequence[str]
    ) -> dict[str, object]:
        """What the record is told when it is ready."""
        spec = await self._imported(record.account, record.spec) if record.spec.image else record.spec
        ground = await self._grounds.declare(spec)
        layers = (await self._grounds.find(ground)).layers
        for layer in layers.values():
            log.extend(layer.notes)
        laid_bytes = sum(layer.size_bytes for layer in layers.values())
        await self._quota.check(record.account, laid_bytes)
        sandbox = await self._provisioner.open(record.id, ground, self._rules.most, spec.network)
        try:
            for path, text in spec.files.items():
                await files.write(sandbox, path, text.encode())
            if prepare is not None:
                await prepare(sandbox)
            await self._run(sandbox, "setUp", spec.set_up, log)
            await begin(sandbox, spec.start, spec.ready, self._rules.build_seconds)
            await self._run(sandbox, "warmUp", spec.warm_up, log)
            image = await self._images.take(sandbox, go_on=False) if await self._is_kept(spec) else None
        finally:
            await asyncio.shield(sandbox.kill())
        total_bytes = laid_bytes + (image.size_bytes if image else 0)
        try:
            await self._quota.check(record.account, total_bytes)
        except BaseException:
            if image:
                await asyncio.shield(self._images.delete(image.id))
            raise
        log.append("ready")
        return {
            "state": TemplateState.READY,
            "spec": asdict(spec),
            "ground": ground,
            "kind": image.kind if image else None,
            "image": image.id if image else None,
            "image_bytes": total_bytes,
            "resolved": {manager: layer.resolved for manager, layer in layers.items()},
        }

    async def _imported(self, account: str, spec: TemplateSpec) -> TemplateSpec:
        """With the image's digest, and the command that it starts with, if it has a shell for that."""
        image = (await self._image_import.root(account, spec.image)).image
        start = shlex.join(image.defaults.command) if image.shell else ""
        return replace(spec, image=image.digest, start=spec.start or start)

    async def _is_kept(self, spec: TemplateSpec) -> bool:
        """Whether there is anything to keep: files are saved by programs inside, which an image may lack."""
        return bool(not spec.image or spec.files or spec.set_up or spec.warm_up) or (
            await self._images.of_memory()
        )

    async def _run(self, sandbox: Sandbox, member: str, script: str, log: MutableSequence[str]) -> None:
        """Raises InvalidRequest when it fails."""
        if not script:
            return
        log.append(f"$ {script}")
        code, said = await commands.finish(sandbox, commands.script(script, self._rules.build_seconds))
        log.append(said[-_LOG_CHARACTERS:])
        if code:
            raise invalid(member, f"the command ended with {code}")
