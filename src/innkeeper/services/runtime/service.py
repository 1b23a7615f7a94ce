"""Agent runtimes and their immutable versions: create, update, list, delete."""

import json
from dataclasses import replace

from sqlalchemy.exc import IntegrityError

from innkeeper.engines.jobs.jobs import Jobs
from innkeeper.engines.store.client_tokens import claim
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.vault import Vault
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, InvalidRequest, NotFound
from innkeeper.kernel.ids import Arn, agentcore_arn, resource_id
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.account.service import Accounts
from innkeeper.services.runtime import store
from innkeeper.services.runtime.archives import Archives
from innkeeper.services.runtime.model import (
    DEFAULT_ENDPOINT,
    AgentRuntime,
    Endpoint,
    RuntimeVersion,
    Status,
    check_configuration,
)
from innkeeper.services.tags.service import Tags

BUILD_JOB = "runtime.build"
DELETE_JOB = "runtime.delete"
_OUTSIDE_CONFIGURATION = {
    "agentRuntimeId",
    "agentRuntimeName",
    "clientToken",
    "environmentVariables",
    "tags",
}


class Runtimes:
    def __init__(
        self,
        database: Database,
        vault: Vault,
        jobs: Jobs,
        archives: Archives,
        accounts: Accounts,
        tags: Tags,
        clock: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._jobs = jobs
        self._archives = archives
        self._accounts = accounts
        self._tags = tags
        self._clock = clock

    async def create(self, caller: Caller, parameters: Document) -> AgentRuntime:
        """Make the runtime, its version 1 and its DEFAULT endpoint; a job builds them."""
        await self._check(caller, parameters)
        id_ = resource_id(parameters["agentRuntimeName"])
        runtime = self._new_runtime(caller, id_, parameters)
        await self._archives.keep(caller.account, id_, 1, parameters["agentRuntimeArtifact"])
        try:
            made = await self._insert(runtime, parameters)
        except (IntegrityError, InvalidRequest) as error:
            await self._archives.delete(caller.account, id_, 1)
            if isinstance(error, InvalidRequest):
                raise
            raise Conflict(f"An agent runtime named {runtime.name} exists already") from error
        if made != id_:
            await self._archives.delete(caller.account, id_, 1)
            return await self.get(caller.account, made)
        if parameters.get("tags"):
            await self._tags.put(caller, runtime.arn, parameters["tags"])
        await self.start_build(runtime)
        return runtime

    async def update(self, caller: Caller, parameters: Document) -> AgentRuntime:
        """Make a new version; `latest_version` of the answer is its number."""
        await self._check(caller, parameters)
        current = await self.get(caller.account, parameters["agentRuntimeId"])
        number = current.latest_version + 1
        runtime = replace(
            current,
            latest_version=number,
            status=Status.UPDATING,
            updated_at=self._clock.now(),
            description=parameters.get("description", current.description),
            failure_reason=None,
        )
        await self._archives.keep(caller.account, runtime.id, number, parameters["agentRuntimeArtifact"])
        try:
            made = await self._insert_next(runtime, parameters)
        except IntegrityError as error:
            raise Conflict(f"Agent runtime {runtime.id} is being updated by another request") from error
        if made != number:
            return replace(await self.get(caller.account, runtime.id), latest_version=made)
        await self.start_build(runtime)
        return runtime

    async def get(self, account: str, runtime_id: str) -> AgentRuntime:
        async with self._database.begin() as connection:
            found = await store.find_runtime(connection, account, runtime_id)
        if found is None:
            raise _unknown(runtime_id)
        return found

    async def get_version(self, account: str, runtime_id: str, number: int) -> RuntimeVersion:
        async with self._database.begin() as connection:
            found = await store.find_version(connection, account, runtime_id, number)
        if found is None:
            raise NotFound(f"Agent runtime {runtime_id} has no version {number}")
        return found

    async def list(self, account: str, page: PageRequest) -> Page[AgentRuntime]:
        async with self._database.begin() as connection:
            found = await store.list_runtimes(connection, account, page)
        return store.RUNTIMES.page(page, found, key=lambda runtime: (runtime.id,))

    async def list_versions(self, account: str, runtime_id: str, page: PageRequest) -> Page[RuntimeVersion]:
        """Newest first."""
        await self.get(account, runtime_id)
        async with self._database.begin() as connection:
            found = await store.list_versions(connection, account, runtime_id, page)
        return store.VERSIONS.of(account, runtime_id).page(page, found, lambda version: (version.number,))

    async def delete(self, account: str, runtime_id: str) -> AgentRuntime:
        """Begin to delete the runtime with its versions, endpoints, sessions and their storage."""
        async with self._database.begin() as connection:
            runtime = await store.find_runtime(connection, account, runtime_id, lock=True)
            if runtime is None:
                raise _unknown(runtime_id)
            if runtime.status in (Status.CREATING, Status.UPDATING):
                raise Conflict(f"Agent runtime {runtime_id} is {runtime.status}; wait until it has settled")
            deleting = replace(runtime, status=Status.DELETING, updated_at=self._clock.now())
            values = {"status": deleting.status, "updated_at": deleting.updated_at}
            await store.update_runtime(connection, account, runtime_id, values)
        await self.start_delete(deleting)
        return deleting

    async def delete_version(self, account: str, runtime_id: str, number: int) -> AgentRuntime:
        """Delete one version that no endpoint serves and that is not the latest."""
        runtime = await self.get(account, runtime_id)
        await self.get_version(account, runtime_id, number)
        async with self._database.begin() as connection:
            endpoints = await store.list_endpoints(connection, account, runtime_id, PageRequest())
            served = {number for one in endpoints for number in (one.live_version, one.target_version)}
            if number == runtime.latest_version or number in served:
                raise Conflict(f"Version {number} is the latest one, or an endpoint serves it")
            await store.delete_version(connection, account, runtime_id, number)
        await self._archives.delete(account, runtime_id, number)
        return replace(runtime, status=Status.DELETING)

    async def owns(self, account: str, arn: Arn) -> bool:
        """Whether the ARN names a runtime, or an endpoint of one, of this account."""
        parts = arn.resource.split("/")
        if arn.account != account or len(parts) not in (2, 4):
            return False
        async with self._database.begin() as connection:
            if len(parts) == 2:
                return await store.find_runtime(connection, account, parts[1]) is not None
            return await store.find_endpoint(connection, account, parts[1], parts[3]) is not None

    def environment(self, version: RuntimeVersion) -> dict[str, str]:
        """The environment variables of a version, opened."""
        if version.environment is None:
            return {}
        variables: dict[str, str] = json.loads(
            self._vault.open(version.environment, _context(version.account, version.runtime_id))
        )
        return variables

    async def resume(self) -> None:
        """Start the jobs of transitions that a crash cut off between the row and the job."""
        async with self._database.begin() as connection:
            unsettled = await store.list_unsettled(connection)
        for runtime in unsettled:
            start = self.start_delete if runtime.status is Status.DELETING else self.start_build
            await start(runtime)

    async def start_build(self, runtime: AgentRuntime) -> None:
        number = runtime.latest_version
        payload = {"account": runtime.account, "runtime": runtime.id, "version": number}
        await self._jobs.start(BUILD_JOB, f"{BUILD_JOB}:{runtime.id}:{number}", payload)

    async def start_delete(self, runtime: AgentRuntime) -> None:
        payload = {"account": runtime.account, "runtime": runtime.id}
        await self._jobs.start(DELETE_JOB, f"{DELETE_JOB}:{runtime.id}", payload)

    async def _check(self, caller: Caller, parameters: Document) -> None:
        check_configuration(parameters)
        await self._accounts.check_agent_role(caller, parameters["roleArn"])

    def _new_runtime(self, caller: Caller, id_: str, parameters: Document) -> AgentRuntime:
        now = self._clock.now()
        return AgentRuntime(
            account=caller.account,
            id=id_,
            name=parameters["agentRuntimeName"],
            arn=agentcore_arn(caller.region, caller.account, f"runtime/{id_}"),
            latest_version=1,
            status=Status.CREATING,
            created_at=now,
            updated_at=now,
            description=parameters.get("description"),
        )

    async def _insert(self, runtime: AgentRuntime, parameters: Document) -> str:
        """The id that was made: another than the runtime's when the request is a repeat."""
        async with self._database.begin() as connection:
            made = await claim(
                connection,
                runtime.account,
                "CreateAgentRuntime",
                parameters,
                runtime.id,
                runtime.created_at,
            )
            if made == runtime.id:
                await store.insert_runtime(connection, runtime)
                await store.insert_version(connection, self._version(runtime, parameters))
                await store.insert_endpoint(connection, _default_endpoint(runtime))
        return made

    async def _insert_next(self, runtime: AgentRuntime, parameters: Document) -> int:
        """The number that was made: another than the latest when the request is a repeat."""
        async with self._database.begin() as connection:
            now, resource = runtime.updated_at, str(runtime.latest_version)
            made = await claim(connection, runtime.account, "UpdateAgentRuntime", parameters, resource, now)
            if made == resource:
                current = await store.find_runtime(connection, runtime.account, runtime.id, lock=True)
                if current is None or not current.status.settled:
                    raise Conflict(f"Agent runtime {runtime.id} is in transition; wait until it has settled")
                await store.insert_version(connection, self._version(runtime, parameters))
                values = {
                    "latest_version": runtime.latest_version,
                    "status": runtime.status,
                    "updated_at": now,
                    "description": runtime.description,
                    "failure_reason": None,
                }
                await store.update_runtime(connection, runtime.account, runtime.id, values)
        return int(made)

    def _version(self, runtime: AgentRuntime, parameters: Document) -> RuntimeVersion:
        variables = parameters.get("environmentVariables")
        context = _context(runtime.account, runtime.id)
        return RuntimeVersion(
            account=runtime.account,
            runtime_id=runtime.id,
            number=runtime.latest_version,
            configuration={k: v for k, v in parameters.items() if k not in _OUTSIDE_CONFIGURATION},
            status=runtime.status,
            created_at=runtime.updated_at,
            environment=self._vault.seal(json.dumps(variables).encode(), context) if variables else None,
        )


def _unknown(runtime_id: str) -> NotFound:
    return NotFound(f"Agent runtime {runtime_id} does not exist")


def _default_endpoint(runtime: AgentRuntime) -> Endpoint:
    return Endpoint(
        account=runtime.account,
        runtime_id=runtime.id,
        name=DEFAULT_ENDPOINT,
        id=resource_id(DEFAULT_ENDPOINT),
        arn=f"{runtime.arn}/runtime-endpoint/{DEFAULT_ENDPOINT}",
        runtime_arn=runtime.arn,
        live_version=None,
        target_version=runtime.latest_version,
        status=Status.CREATING,
        created_at=runtime.created_at,
        updated_at=runtime.updated_at,
    )


def _context(account: str, runtime_id: str) -> str:
    return store.SEALED_ENVIRONMENT.context({"account": account, "runtime_id": runtime_id})
