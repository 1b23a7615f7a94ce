"""The AWS operations of agent runtimes and their endpoints."""

from typing import Any

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.ids import Arn, agentcore_arn
from innkeeper.kernel.page import PageRequest
from innkeeper.services.runtime.commands import Commands
from innkeeper.services.runtime.directory import Directory, owner_of
from innkeeper.services.runtime.endpoints import Endpoints
from innkeeper.services.runtime.invocation import Invocations
from innkeeper.services.runtime.model import (
    AgentRuntime,
    Endpoint,
    Lifecycle,
    RuntimeVersion,
    SessionKey,
    Status,
)
from innkeeper.services.runtime.service import Runtimes
from innkeeper.services.runtime.sessions import Sessions

_KEPT = (
    "agentRuntimeArtifact",
    "roleArn",
    "networkConfiguration",
    "description",
    "authorizerConfiguration",
    "requestHeaderConfiguration",
    "protocolConfiguration",
    "hooksConfiguration",
    "filesystemConfigurations",
    "metadataConfiguration",
    "platformVersion",
    "allowedPorts",
    "resourceConfigurations",
)


class RuntimeOperations:
    """Control plane: runtimes and versions."""

    def __init__(self, runtimes: Runtimes) -> None:
        self._runtimes = runtimes

    async def create_agent_runtime(self, call: Call, params: Document) -> Document:
        runtime = await self._runtimes.create(call.caller, params)
        return {**_identity(runtime), "createdAt": runtime.created_at, "status": Status.CREATING}

    async def get_agent_runtime(self, call: Call, params: Document) -> Document:
        account = call.caller.account
        runtime = await self._runtimes.get(account, params["agentRuntimeId"])
        number = int(params.get("agentRuntimeVersion") or runtime.latest_version)
        version = await self._runtimes.get_version(account, runtime.id, number)
        return {
            **_identity(runtime),
            **{member: version.configuration[member] for member in _KEPT if member in version.configuration},
            "agentRuntimeName": runtime.name,
            "agentRuntimeVersion": str(number),
            "createdAt": runtime.created_at,
            "lastUpdatedAt": runtime.updated_at,
            "status": runtime.status if number == runtime.latest_version else version.status,
            "failureReason": version.failure_reason,
            "lifecycleConfiguration": Lifecycle.of(
                version.configuration.get("lifecycleConfiguration") or {}
            ).document,
            "environmentVariables": self._runtimes.environment(version) or None,
        }

    async def list_agent_runtimes(self, call: Call, params: Document) -> Document:
        page = await self._runtimes.list(call.caller.account, _page(params))
        return {
            "agentRuntimes": [_summary(runtime) for runtime in page.items],
            "nextToken": page.next_token,
        }

    async def list_agent_runtime_versions(self, call: Call, params: Document) -> Document:
        account, runtime_id = call.caller.account, params["agentRuntimeId"]
        runtime = await self._runtimes.get(account, runtime_id)
        page = await self._runtimes.list_versions(account, runtime_id, _page(params))
        return {
            "agentRuntimes": [_version_summary(runtime, version) for version in page.items],
            "nextToken": page.next_token,
        }

    async def update_agent_runtime(self, call: Call, params: Document) -> Document:
        runtime = await self._runtimes.update(call.caller, params)
        return {
            **_identity(runtime),
            "createdAt": runtime.created_at,
            "lastUpdatedAt": runtime.updated_at,
            "status": Status.UPDATING,
        }

    async def delete_agent_runtime(self, call: Call, params: Document) -> Document:
        account, runtime_id = call.caller.account, params["agentRuntimeId"]
        number = params.get("agentRuntimeVersion")
        if number is None:
            runtime = await self._runtimes.delete(account, runtime_id)
        else:
            runtime = await self._runtimes.delete_version(account, runtime_id, int(number))
        return {"status": runtime.status, "agentRuntimeId": runtime.id, "agentRuntimeVersion": number}


class EndpointOperations:
    """Control plane: endpoints."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def create_agent_runtime_endpoint(self, call: Call, params: Document) -> Document:
        endpoint = await self._endpoints.create(call.caller.account, params)
        return {
            "targetVersion": str(endpoint.target_version),
            "agentRuntimeEndpointArn": endpoint.arn,
            "agentRuntimeArn": endpoint.runtime_arn,
            "agentRuntimeId": endpoint.runtime_id,
            "endpointName": endpoint.name,
            "status": endpoint.status,
            "createdAt": endpoint.created_at,
        }

    async def get_agent_runtime_endpoint(self, call: Call, params: Document) -> Document:
        account = call.caller.account
        return _endpoint(await self._endpoints.get(account, params["agentRuntimeId"], params["endpointName"]))

    async def list_agent_runtime_endpoints(self, call: Call, params: Document) -> Document:
        page = await self._endpoints.list(call.caller.account, params["agentRuntimeId"], _page(params))
        return {
            "runtimeEndpoints": [_endpoint(endpoint) for endpoint in page.items],
            "nextToken": page.next_token,
        }

    async def update_agent_runtime_endpoint(self, call: Call, params: Document) -> Document:
        endpoint = await self._endpoints.update(call.caller.account, params)
        return {**_endpoint(endpoint), "status": Status.UPDATING}

    async def delete_agent_runtime_endpoint(self, call: Call, params: Document) -> Document:
        account, runtime_id = call.caller.account, params["agentRuntimeId"]
        endpoint = await self._endpoints.delete(account, runtime_id, params["endpointName"])
        return {
            "status": endpoint.status,
            "agentRuntimeId": runtime_id,
            "endpointName": endpoint.name,
        }


class InvocationOperations:
    """Data plane: calling agents and stopping their sessions."""

    def __init__(
        self, invocations: Invocations, commands: Commands, sessions: Sessions, directory: Directory
    ) -> None:
        self._invocations = invocations
        self._commands = commands
        self._sessions = sessions
        self._directory = directory

    async def invoke_agent_runtime(self, call: Call, params: Document) -> Document:
        return await self._invocations.invoke(call, params)

    async def invoke_agent_runtime_command(self, call: Call, params: Document) -> Document:
        return await self._commands.invoke(call, params)

    async def get_agent_card(self, call: Call, params: Document) -> Document:
        return await self._invocations.agent_card(call, params)

    async def stop_runtime_session(self, call: Call, params: Document) -> Document:
        account, runtime_id = owner_of(params["agentRuntimeArn"], None, call.caller.account)
        target = await self._directory.find(account, runtime_id, params.get("qualifier"))
        session_id = params["runtimeSessionId"]
        key = SessionKey(account, runtime_id, target.endpoint.name, session_id)
        await self._sessions.stop(key, "stopped by the caller")
        return {"runtimeSessionId": session_id, "statusCode": 200}


def _page(params: Document) -> PageRequest:
    return PageRequest.of(params.get("maxResults"), params.get("nextToken"))


def _identity(runtime: AgentRuntime) -> Document:
    region = Arn.parse(runtime.arn).region
    workload = f"workload-identity-directory/default/workload-identity/{runtime.id}"
    return {
        "agentRuntimeArn": runtime.arn,
        "agentRuntimeId": runtime.id,
        "agentRuntimeVersion": str(runtime.latest_version),
        "workloadIdentityDetails": {"workloadIdentityArn": agentcore_arn(region, runtime.account, workload)},
    }


def _summary(runtime: AgentRuntime) -> Document:
    return {
        "agentRuntimeArn": runtime.arn,
        "agentRuntimeId": runtime.id,
        "agentRuntimeVersion": str(runtime.latest_version),
        "agentRuntimeName": runtime.name,
        "description": runtime.description or "",
        "lastUpdatedAt": runtime.updated_at,
        "status": runtime.status,
    }


def _version_summary(runtime: AgentRuntime, version: RuntimeVersion) -> Document:
    return {
        **_summary(runtime),
        "agentRuntimeVersion": str(version.number),
        "description": version.configuration.get("description") or "",
        "lastUpdatedAt": version.created_at,
        "status": version.status,
    }


def _endpoint(endpoint: Endpoint) -> Document:
    shown: dict[str, Any] = {
        "liveVersion": str(endpoint.live_version) if endpoint.live_version else None,
        "targetVersion": str(endpoint.target_version),
        "agentRuntimeEndpointArn": endpoint.arn,
        "agentRuntimeArn": endpoint.runtime_arn,
        "description": endpoint.description,
        "status": endpoint.status,
        "createdAt": endpoint.created_at,
        "lastUpdatedAt": endpoint.updated_at,
        "failureReason": endpoint.failure_reason,
        "name": endpoint.name,
        "id": endpoint.id,
    }
    return shown
