"""The two transitions that take time: a version being built, and a runtime being deleted whole."""

import logging

from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.page import PageRequest
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.resource_policy.service import ResourcePolicies
from innkeeper.services.runtime import store
from innkeeper.services.runtime.archives import Archives
from innkeeper.services.runtime.builds import Builds
from innkeeper.services.runtime.directory import Directory
from innkeeper.services.runtime.model import (
    DEFAULT_ENDPOINT,
    AgentRuntime,
    Endpoint,
    RuntimeVersion,
    Status,
)
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.snapshots import Snapshots
from innkeeper.services.tags.service import Tags

_LOG = logging.getLogger(__name__)


class Transitions:
    """Both may be done again after a crash: they do what is left to do."""

    def __init__(
        self,
        database: Database,
        archives: Archives,
        builds: Builds,
        directory: Directory,
        sessions: Sessions,
        snapshots: Snapshots,
        tags: Tags,
        policies: ResourcePolicies,
        clock: Clock,
    ) -> None:
        self._database = database
        self._archives = archives
        self._builds = builds
        self._directory = directory
        self._sessions = sessions
        self._snapshots = snapshots
        self._tags = tags
        self._policies = policies
        self._clock = clock

    async def build(self, account: str, runtime_id: str, number: int) -> None:
        """Prepare a version's code, then let the runtime and its DEFAULT endpoint go over to it."""
        async with self._database.begin() as connection:
            version = await store.find_version(connection, account, runtime_id, number)
        if version is None or version.status.settled:
            return
        try:
            build = await self._builds.of(version)
        except BuildFailed as error:
            await self._settle(version, None, str(error))
        except Exception:
            _LOG.exception("building version %s of %s failed", number, runtime_id)
            await self._settle(version, None, "The build failed inside the server; its log says why")
        else:
            await self._settle(version, build.digest, None)
        self._directory.forget(account, runtime_id)

    async def delete(self, account: str, runtime_id: str) -> None:
        """Take everything away that belongs to a runtime, the rows last."""
        async with self._database.begin() as connection:
            runtime = await store.find_runtime(connection, account, runtime_id)
            endpoints = await store.list_endpoints(connection, account, runtime_id, PageRequest())
        if runtime is None:
            return
        for endpoint in endpoints:
            self._directory.forget(account, runtime_id, endpoint.name)
        await self._sessions.end_all(account, runtime_id, reason="agent runtime deleted")
        await self._snapshots.delete_all(account, runtime_id)
        for arn in (runtime.arn, *(endpoint.arn for endpoint in endpoints)):
            await self._tags.delete_all(arn)
            await self._policies.delete_all(arn)
        for number in range(1, runtime.latest_version + 1):
            await self._archives.delete(account, runtime_id, number)
        async with self._database.begin() as connection:
            await store.delete_runtime(connection, account, runtime_id)
            needed = await store.list_builds(connection)
        await self._builds.prune(needed)

    async def _settle(self, version: RuntimeVersion, digest: str | None, failure: str | None) -> None:
        status = version.status.failed if failure else Status.READY
        outcome = {"status": status, "failure_reason": failure}
        account, runtime_id, number = version.account, version.runtime_id, version.number
        async with self._database.begin() as connection:
            await store.update_version(connection, account, runtime_id, number, {**outcome, "build": digest})
            runtime = await store.find_runtime(connection, account, runtime_id, lock=True)
            endpoint = await store.find_endpoint(connection, account, runtime_id, DEFAULT_ENDPOINT)
            if runtime is None or endpoint is None or runtime.latest_version != number:
                return
            now = self._clock.now()
            await store.update_runtime(connection, account, runtime_id, {**outcome, "updated_at": now})
            values = _default_endpoint(runtime, endpoint, failure)
            await store.update_endpoint(
                connection, account, runtime_id, DEFAULT_ENDPOINT, {**values, "updated_at": now}
            )


def _default_endpoint(runtime: AgentRuntime, endpoint: Endpoint, failure: str | None) -> dict[str, object]:
    """It goes to the latest version; when that failed it stays where it was, if it was anywhere."""
    if failure is None:
        number = runtime.latest_version
        return {"live_version": number, "target_version": number, "status": Status.READY}
    if endpoint.live_version is None:
        return {"status": Status.CREATE_FAILED, "failure_reason": failure}
    return {"target_version": endpoint.live_version}
