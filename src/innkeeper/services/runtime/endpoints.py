"""Endpoints: the names under which versions of a runtime are called."""

from dataclasses import replace

from sqlalchemy.exc import IntegrityError

from innkeeper.engines.store.client_tokens import claim
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, FieldError, InvalidRequest, NotFound, QuotaExceeded
from innkeeper.kernel.ids import resource_id
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.runtime import store
from innkeeper.services.runtime.directory import Directory
from innkeeper.services.runtime.model import (
    DEFAULT_ENDPOINT,
    ENDPOINTS_PER_RUNTIME,
    AgentRuntime,
    Endpoint,
    Status,
)
from innkeeper.services.runtime.service import Runtimes
from innkeeper.services.runtime.sessions import Sessions


class Endpoints:
    def __init__(
        self,
        database: Database,
        runtimes: Runtimes,
        sessions: Sessions,
        directory: Directory,
        clock: Clock,
    ) -> None:
        self._database = database
        self._runtimes = runtimes
        self._sessions = sessions
        self._directory = directory
        self._clock = clock

    async def create(self, account: str, parameters: Document) -> Endpoint:
        """Pin a new name to a version, the latest unless one is named."""
        runtime = await self._runtimes.get(account, parameters["agentRuntimeId"])
        number = int(parameters.get("agentRuntimeVersion") or runtime.latest_version)
        await self._check_ready(runtime, number)
        endpoint = self._new(runtime, number, parameters)
        try:
            async with self._database.begin() as connection:
                made = await claim(
                    connection,
                    account,
                    "CreateAgentRuntimeEndpoint",
                    parameters,
                    endpoint.id,
                    endpoint.created_at,
                )
                if made == endpoint.id:
                    others = await store.list_endpoints(connection, account, runtime.id, PageRequest())
                    if len(others) >= ENDPOINTS_PER_RUNTIME:
                        raise QuotaExceeded(f"An agent runtime has at most {ENDPOINTS_PER_RUNTIME} endpoints")
                    await store.insert_endpoint(connection, endpoint)
        except IntegrityError as error:
            message = f"Agent runtime {runtime.id} has an endpoint named {endpoint.name} already"
            raise Conflict(message) from error
        return await self.get(account, runtime.id, endpoint.name)

    async def get(self, account: str, runtime_id: str, name: str) -> Endpoint:
        async with self._database.begin() as connection:
            found = await store.find_endpoint(connection, account, runtime_id, name)
        if found is None:
            raise NotFound(f"Agent runtime {runtime_id} has no endpoint {name}")
        return found

    async def list(self, account: str, runtime_id: str, page: PageRequest) -> Page[Endpoint]:
        """An unknown runtime has no endpoints: infrastructure tools rely on getting no error here."""
        async with self._database.begin() as connection:
            found = await store.list_endpoints(connection, account, runtime_id, page)
        return store.ENDPOINTS.of(account, runtime_id).page(page, found, lambda endpoint: (endpoint.name,))

    async def update(self, account: str, parameters: Document) -> Endpoint:
        """Move a named endpoint to another version. Sessions that run stay on theirs until they end."""
        runtime_id, name = parameters["agentRuntimeId"], parameters["endpointName"]
        endpoint = await self.get(account, runtime_id, name)
        runtime = await self._runtimes.get(account, runtime_id)
        number = int(parameters.get("agentRuntimeVersion") or endpoint.target_version)
        if name == DEFAULT_ENDPOINT and number != endpoint.target_version:
            rule = "DEFAULT always follows the latest version; pin a version with a named endpoint"
            raise InvalidRequest(rule, (FieldError("agentRuntimeVersion", rule),))
        await self._check_ready(runtime, number)
        changed = replace(
            endpoint,
            live_version=number,
            target_version=number,
            description=parameters.get("description", endpoint.description),
            updated_at=self._clock.now(),
        )
        values = {
            field: getattr(changed, field)
            for field in ("live_version", "target_version", "description", "updated_at")
        }
        async with self._database.begin() as connection:
            await claim(
                connection,
                account,
                "UpdateAgentRuntimeEndpoint",
                parameters,
                endpoint.id,
                changed.updated_at,
            )
            await store.update_endpoint(connection, account, runtime_id, name, values)
        self._directory.forget(account, runtime_id, name)
        return changed

    async def delete(self, account: str, runtime_id: str, name: str) -> Endpoint:
        """Delete the endpoint with its sessions and their storage. DEFAULT goes with its runtime only."""
        endpoint = await self.get(account, runtime_id, name)
        if name == DEFAULT_ENDPOINT:
            raise Conflict("The DEFAULT endpoint is deleted together with its agent runtime")
        async with self._database.begin() as connection:
            await store.delete_endpoint(connection, account, runtime_id, name)
        self._directory.forget(account, runtime_id, name)
        await self._sessions.end_all(account, runtime_id, name, "endpoint deleted")
        return replace(endpoint, status=Status.DELETING)

    async def _check_ready(self, runtime: AgentRuntime, number: int) -> None:
        version = await self._runtimes.get_version(runtime.account, runtime.id, number)
        if version.status is not Status.READY:
            raise Conflict(f"Version {number} of agent runtime {runtime.id} is {version.status}, not READY")

    def _new(self, runtime: AgentRuntime, number: int, parameters: Document) -> Endpoint:
        name, now = parameters["name"], self._clock.now()
        return Endpoint(
            account=runtime.account,
            runtime_id=runtime.id,
            name=name,
            id=resource_id(name),
            arn=f"{runtime.arn}/runtime-endpoint/{name}",
            runtime_arn=runtime.arn,
            live_version=number,
            target_version=number,
            status=Status.READY,
            created_at=now,
            updated_at=now,
            description=parameters.get("description"),
        )
