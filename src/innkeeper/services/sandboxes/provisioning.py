"""Making the sandbox of a record: on its template's ground, fresh or from an image."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from innkeeper.engines.sandbox.egress.listing import Listing
from innkeeper.engines.sandbox.images import Images
from innkeeper.engines.sandbox.sandbox import (
    Egress,
    Limits,
    Network,
    Sandbox,
    SandboxDriver,
    SandboxError,
    SandboxSpec,
    Secret,
)
from innkeeper.engines.sandbox.trust import Trust
from innkeeper.engines.vault.vault import Vault
from innkeeper.kernel.errors import Unavailable
from innkeeper.services.sandboxes.grounds import Ground, Grounds
from innkeeper.services.sandboxes.model import SandboxLimits, SandboxRecord, invalid
from innkeeper.services.sandboxes.start_command import begin
from innkeeper.services.sandboxes.store import SEALED_EGRESS, SEALED_ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides about all sandboxes. `snapshots` and `image_bytes` are for each account, the
    bytes for its snapshots, hibernated sandboxes and templates together; after `hibernate_seconds` of pause a
    sandbox is hibernated, 0 means never. A template is built within `build_seconds`, and its start command
    ready within `start_seconds`. One that has ended is remembered for `ended_days`."""

    limits: Limits
    sandboxes: int
    timeout_seconds: int
    hibernate_seconds: float
    snapshots: int
    image_bytes: int
    sweep_seconds: float
    build_seconds: float
    start_seconds: float
    ended_days: int
    shared_kernel: bool  # whether untrusted code may run where only namespaces keep it in

    @property
    def most(self) -> SandboxLimits:
        return SandboxLimits(self.limits.cpu_cores, self.limits.memory_mib)


class Provisioner:
    def __init__(
        self, driver: SandboxDriver, grounds: Grounds, images: Images, vault: Vault, rules: Rules
    ) -> None:
        self._driver = driver
        self._grounds = grounds
        self._images = images
        self._vault = vault
        self._rules = rules
        self._trust = Trust(driver, rules.shared_kernel)

    async def start(self, record: SandboxRecord, image: str | None) -> Sandbox:
        """Raises NotFound when its template is gone, InvalidRequest where the operator does not allow it,
        Unavailable when it cannot be done; then nothing of the attempt is left."""
        await self._trust.check()
        ground = await self._grounds.find(record.ground)
        spec = self._spec(record.id, ground, record.limits, record.network, self.opened(record))
        spec = replace(spec, egress=self.egress(record))
        try:
            sandbox = await (self._images.restore(image, spec) if image else self._driver.create(spec))
        except SandboxError as error:
            raise Unavailable(f"The sandbox could not be started: {error}") from error
        if ground.start and not (image and await self._images.of_memory()):
            try:
                await begin(sandbox, ground.start, ground.ready, self._rules.start_seconds)
            except BaseException:
                await asyncio.shield(sandbox.kill())
                raise
        return sandbox

    async def expect(self, record: SandboxRecord) -> None:
        """Sandboxes like this one are about to be started from an image. Raises as `start`."""
        ground = await self._grounds.find(record.ground)
        self._driver.expect(self._spec(record.id, ground, record.limits, record.network, {}))

    async def open(self, id_: str, ground: str, limits: SandboxLimits, network: str) -> Sandbox:
        """One that a template is built in: its start command does not run yet. Raises as `start`."""
        await self._trust.check()
        found = await self._grounds.find(ground)
        try:
            return await self._driver.create(self._spec(id_, found, limits, network, {}))
        except SandboxError as error:
            raise Unavailable(f"The sandbox could not be started: {error}") from error

    def sealed(self, account: str, variables: Mapping[str, str]) -> bytes | None:
        """Variables for a record."""
        return (
            self._vault.seal(json.dumps(dict(variables)).encode(), _context(account)) if variables else None
        )

    def opened(self, record: SandboxRecord) -> dict[str, str]:
        """A record's variables."""
        if record.environment is None:
            return {}
        variables: dict[str, str] = json.loads(self._vault.open(record.environment, _context(record.account)))
        return variables

    def sealed_egress(self, account: str, egress: Egress) -> bytes:
        """What a record's sandbox may reach, with its secrets. Raises InvalidRequest."""
        try:
            Listing.of(egress)
        except SandboxError as error:
            raise invalid("egress", str(error)) from error
        return self._vault.seal(json.dumps(asdict(egress)).encode(), _egress_context(account))

    def egress(self, record: SandboxRecord) -> Egress:
        """What a record's sandbox may reach where its network is listed."""
        if record.egress is None:
            return Egress()
        told = json.loads(self._vault.open(record.egress, _egress_context(record.account)))
        return Egress(told["domains"], told["cidrs"], [Secret(**secret) for secret in told["secrets"]])

    async def close(self) -> None:
        await self._grounds.close()

    def _spec(
        self, id_: str, ground: Ground, limits: SandboxLimits, network: str, variables: Mapping[str, str]
    ) -> SandboxSpec:
        return SandboxSpec(
            id=id_,
            mounts=ground.mounts,
            environment={**ground.environment, **variables},
            limits=replace(self._rules.limits, cpu_cores=limits.cpu_cores, memory_mib=limits.memory_mib),
            network=Network(network),
            working_directory=ground.working_directory,
            layers=ground.over,
            root=ground.root,
            folders=ground.folders,
        )


def _context(account: str) -> str:
    return SEALED_ENVIRONMENT.context({"account": account})


def _egress_context(account: str) -> str:
    return SEALED_EGRESS.context({"account": account})
